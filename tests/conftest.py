"""What holds for every test: property tests try the same cases each time, however slow the machine is."""

from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2_000)  # --hypothesis-profile=explore
settings.load_profile("steady")
