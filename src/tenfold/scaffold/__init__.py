"""A service folder for a trained model, as a person would have written it, with the proof that it serves that model.

``making.make`` is what others call.
"""
