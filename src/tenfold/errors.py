"""What can go wrong, drawn as a tree, and what each code means.

    TenfoldError                 message, hint (the mend), exit code
    ├── UsageError               2  the command line or an argument
    ├── ContractError            3  a contract that contradicts itself
    ├── ServiceError             3  a service file or class that cannot be used as it is written
    ├── ModelError               3  a model file that cannot be read, trusted or fitted to its contract
    ├── InvalidInput             3  rows that break the contract, with every violation
    ├── NotFound                 4
    ├── Conflict                 5
    └── GateFailed               6  a deadline, gate or test violated

Codes are words. Each has one entry in ``CODES``, one page (``tenfold explain CODE``), and its HTTP status is decided here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Violation(NamedTuple):
    """One reason why one row is refused. ``pointer`` is RFC 6901 within the row, in wire names; "" is the row itself."""

    row: int
    pointer: str
    code: str
    detail: str


class Change(NamedTuple):
    """One value that validation altered, by a rule that the contract states. Nothing is altered without one."""

    row: int
    pointer: str
    action: str
    code: str
    value: Any


class Flag(NamedTuple):
    """One remark on a row that was answered all the same. ``pointer`` is None for a rule over several columns."""

    row: int
    pointer: str | None
    code: str


class Code(NamedTuple):
    """What an error code means: its HTTP status, its title, what happened, and what to do."""

    status: int
    title: str
    meaning: str
    fix: str


CODES: dict[str, Code] = {
    # what a client sent
    "malformed": Code(
        400,
        "The body cannot be parsed",
        "The body is not what its media type says: broken JSON, text that is not UTF-8, NaN or Infinity (JSON has "
        "neither), nesting deeper than 32, or a body that ended early.",
        "Send valid JSON (RFC 8259). A value that is absent is null or left out, never NaN.",
    ),
    "duplicate_key": Code(
        422,
        "A key stands twice in one object",
        "JSON parsers disagree about which of two equal keys counts, so tenfold does not choose.",
        "Send each key once.",
    ),
    "missing": Code(
        422,
        "A required field is missing",
        "The field is absent or null, its type does not allow that (X | None), and no on_missing action answers it.",
        "Send a value; or declare the field optional, or give it on_missing(...).",
    ),
    "unknown_field": Code(
        422,
        "A field that the contract does not know",
        "Unknown fields are refused, because a misspelt name would otherwise be an absent value.",
        "Compare the name with GET /{service}/contract; names on the wire are the aliases.",
    ),
    "wrong_type": Code(
        422,
        "A value of another type",
        "Coercion is lossless or it is an error: 3.9 is not an int, text is not a number, a (4, 1) tensor is not (1, 4).",
        "Send the type that the contract names. Integers are accepted where a float is declared.",
    ),
    "out_of_range": Code(
        422,
        "A value outside its bounds",
        "A number, date, length or count is outside what the contract allows.",
        "Send a value within the bounds; or give the field on_invalid(clamp) or on_invalid(flag).",
    ),
    "pattern": Code(
        422,
        "Text that does not match its pattern",
        "The field declares Pattern(...), a regular expression that has to match the whole text.",
        "Send text in that form.",
    ),
    "unseen": Code(
        422,
        "A category that the contract does not list",
        "The value is none of the declared ones (Literal or enum).",
        "Send one of the listed values; or give the field on_unseen(impute(...)) or on_unseen(flag).",
    ),
    "non_finite": Code(
        422,
        "A number that is not finite",
        "NaN or an infinity arrived in a format that can carry them, or a JSON number is too large for 64 bits.",
        "Send a finite number; or give the field on_missing(...), which then also answers NaN.",
    ),
    "predicate": Code(
        422,
        "A value that the field's predicate refuses",
        "The field declares Predicate(...), a test in Python, and it said no.",
        "Send a value for which the predicate holds.",
    ),
    "rule": Code(
        422,
        "Values that do not fit together",
        "A rule over several fields (@rule in the contract) does not hold for the row. Its code is rule:NAME.",
        "Look the rule up at GET /{service}/contract, or in the service's own code.",
    ),
    "quarantined": Code(
        422,
        "The row was put aside",
        "A rule says quarantine, or the row ended the model's process twice. It is kept in the dead-letter file, with "
        "the reason, for a person to look at.",
        "Look at the dead letters (.tenfold/dead-letters/); mend the row or the model.",
    ),
    "image_format": Code(
        415,
        "Not a picture of an allowed format",
        "Formats are recognised by content, not by name or media type.",
        "Send one of the formats that the contract lists.",
    ),
    "image_too_large": Code(
        413,
        "A picture with too many pixels or bytes",
        "The size is read from the header, before anything is decoded.",
        "Send a smaller picture; or raise max_pixels or max_bytes in Image(...).",
    ),
    "image_broken": Code(
        422,
        "A picture that cannot be decoded",
        "The file is truncated, damaged, or is not what its header says.",
        "Send a whole picture.",
    ),
    "image_mode": Code(
        422,
        "A picture in a mode that the contract refuses",
        "Transparency, CMYK, palette, 16-bit or several frames, where Image(...) says reject.",
        "Convert the picture; or choose another rule in Image(...).",
    ),
    # how it was sent
    "unauthorized": Code(
        401,
        "No key",
        "The route needs a key, and none was sent that is known, not revoked, and has not run out.",
        "Send Authorization: Bearer KEY.",
    ),
    "forbidden": Code(
        403,
        "Not allowed",
        "The key does not carry the scope that the route needs; or, where no key is asked for, the page of another site "
        "asks.",
        "Use another key; or ask from a program, or from the server's own pages.",
    ),
    "not_found": Code(
        404, "No such route or service", "Nothing is served at this address.", "GET / lists the services."
    ),
    "method_not_allowed": Code(
        405, "Not with this method", "The route exists for other methods.", "The Allow header names them."
    ),
    "request_timeout": Code(
        408, "The request did not arrive in time", "Headers have 10 s; a body may pause for 30 s.", "Send it faster."
    ),
    "too_large": Code(
        413,
        "The body is too large",
        "Refused by its declared or actual size, before decoding; or more rows than one request may carry.",
        "Send fewer rows at a time, or up to 1 GiB as a job; for requests, max_body_bytes in [server] of tenfold.toml "
        "may be raised.",
    ),
    "uri_too_long": Code(414, "The address is too long", "Addresses may have 8 KiB.", "Send data in the body."),
    "unsupported_media_type": Code(
        415,
        "A media type that the service does not read",
        "The Content-Type is none that this contract can be read from, or the body is compressed.",
        "Send JSON, NDJSON, CSV, Arrow or Parquet; for a picture contract, the picture itself; larger files as a job.",
    ),
    "headers_too_large": Code(431, "Headers too large", "Headers may have 16 KiB and 100 lines.", "Send fewer."),
    "bad_request": Code(
        400,
        "Not a valid HTTP request",
        "The request line, a header or the framing breaks RFC 9112, or a header's value cannot be read.",
        "Send HTTP/1.1 with either Content-Length or chunked encoding, never both.",
    ),
    "invalid_option": Code(
        400,
        "An option that cannot be meant",
        "A job was asked for with an option that does not exist, with a value that it cannot have, or without rows.",
        "The detail names the option; docs/jobs.md lists them all.",
    ),
    "over_quota": Code(429, "Over quota", "The key has used up its requests for now.", "Wait as Retry-After says."),
    # what the service could not do
    "model_failed": Code(
        500,
        "The service's own code failed",
        "preprocess, the model or postprocess raised an exception. This is never the input's fault.",
        "The log has the traceback, under the request's id; tenfold predict SERVICE FILE shows it, too.",
    ),
    "output_invalid": Code(
        500,
        "The answer breaks the output contract",
        "The model or postprocess produced a value that the output contract refuses, such as a probability of NaN.",
        "Mend postprocess or the model; tenfold check SERVICE replays the golden records.",
    ),
    "internal": Code(500, "tenfold itself failed", "This is a fault of ours.", "Please report it with the log."),
    "not_ready": Code(
        503, "Not ready", "No replica is loaded and warmed, or the service is draining.", "Retry as Retry-After says."
    ),
    "overloaded": Code(
        503,
        "Refused at once, since it could not be answered in time",
        "The work that waits would not leave enough time before the deadline.",
        "Retry as Retry-After says; add replicas; tenfold bench SERVICE finds the rate that one replica carries.",
    ),
    "deadline": Code(
        504,
        "The deadline passed",
        "The answer was not ready in the time that the service or the request allows.",
        "Allow more time in Deadline(...) or in X-Request-Timeout-Ms; look at Server-Timing for where it went.",
    ),
}


def status_of(code: str) -> int:
    """The HTTP status of a code; ``rule:NAME`` has the status of ``rule``."""
    return CODES[code.partition(":")[0]].status


class TenfoldError(Exception):
    """The root of the tree. ``hint`` says what to do; ``exit_code`` is what a command ends with."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nfix: {self.hint}" if self.hint else self.message


class UsageError(TenfoldError):
    """A command line, an option or an argument that cannot be meant."""

    exit_code = 2


class ContractError(TenfoldError):
    """A contract that contradicts itself or uses what tenfold does not know. Names the class and the field."""

    exit_code = 3


class ServiceError(TenfoldError):
    """A service file, folder or class that cannot be used. Names the file and the attribute."""

    exit_code = 3


class ModelError(TenfoldError):
    """A model that cannot be read, is not trusted, or does not fit its contract. Names the file."""

    exit_code = 3


class NotFound(TenfoldError):
    """A file, service, release or code that does not exist."""

    exit_code = 4


class Conflict(TenfoldError):
    """Somebody else got there first, or the port is taken."""

    exit_code = 5


class GateFailed(TenfoldError):
    """A promise that did not hold: a golden record, a deadline, a capacity."""

    exit_code = 6


class InvalidInput(TenfoldError):
    """Rows that break the contract; carries every violation of every row."""

    exit_code = 3

    def __init__(self, violations: Iterable[Violation]) -> None:
        self.violations: Sequence[Violation] = tuple(violations)
        super().__init__(summary(self.violations), "every violation is listed; tenfold explain CODE says more")


def summary(violations: Sequence[Violation]) -> str:
    """The first violation in words and how many more there are."""
    first = violations[0]
    more = f" (+{len(violations) - 1} more, all named)" if len(violations) > 1 else ""
    return f"{first.detail}{more}"
