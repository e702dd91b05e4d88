"""What errors say, in the language of a page.

Errors are raised as finished English sentences, deep in the program, which knows no languages. Here stand those that
people come to see, with the places that are filled, so that a finished sentence is recognised and said anew.
"""

import re
from collections.abc import Callable
from functools import cache

Gettext = Callable[[str], str]

SENTENCES = (
    # pictures
    "the picture is empty.",
    "Send the bytes of a picture.",
    "the picture has {bytes} bytes; {limit} are allowed.",
    "this picture has {bytes} bytes; {limit} are allowed.",
    "the picture is truncated: its end is missing.",
    "Send the whole file again.",
    "the {kind} picture is truncated or damaged.",
    "Send it again, or save it anew.",
    "{width} × {height} is {size} megapixels; the limit is {limit}.",
    "Send a smaller picture.",
    "this is {what}, not a picture that can be read.",
    "Send PNG, JPEG, WebP, HEIC, AVIF, TIFF, BMP or GIF.",
    "Save the picture itself and send that.",
    "Save the page as PNG or take a picture of it.",
    "Unpack it and send the pictures inside.",
    "Send the pictures themselves.",
    "Export it as PNG.",
    "Save it as PNG or JPEG.",
    "Save it as PNG.",
    "Send a single frame as PNG or JPEG.",
    "Send a picture.",
    "this name of an upload belongs to another picture.",
    "Give each picture its own.",
    "this picture was deleted after it had come.",
    "Send it anew to have it back.",
    "there is no such image.",
    "there is no such picture.",
    "this picture has no such item.",
    "this image has no such item.",
    "this image was read by another model than the one in use.",
    "Read it again.",
    "the label is empty.",
    "Give the text that stands in the picture.",
    "the label has {length} characters; {limit} are allowed.",
    # handwriting
    "Write the {meant} larger and slower, and make what tells it from a {read} plain.",
    # people and classes
    "this needs the role {role}.",
    "Ask an administrator for it.",
    "only a person who signed in may do this.",
    "you have to sign in.",
    "Send a token: Authorization: Bearer …",
    "there are no accounts here.",
    "They come with serving beyond this machine.",
    "there are no classes here.",
    "They come with accounts, beyond this machine.",
    "there is no such class.",
    "there is no such account.",
    "there is no open class with this code.",
    "Look at the code once more.",
    "somebody in this class has that nickname.",
    "this name is taken.",
    "Choose another.",
    "this class is full: {most} may join.",
    "a class is kept between 1 and {most} days.",
    "a name has 1 to 64 characters, none of them invisible.",
    "the password is too short: {least} characters at least.",
    "the password is too easy to guess.",
    "Take a few unrelated words.",
    "the password is not right.",
    "this is not the account's name.",
    "The sign-in service does not answer for now. Try again in a moment.",
    "This sign-in is too old, was used before, or began in another browser. Please begin once more.",
    "What the sign-in service answered cannot be trusted, so nobody was signed in.",
    "The sign-in service did not let you in.",
    "Your address is not among those that may come in here. Whoever looks after this server can help.",
    "This account is disabled. Whoever looks after this server can help.",
    "nobody signs in by OpenID Connect here.",
    "Set LEGIBLY_OIDC_ISSUER.",
    "this is your own account.",
    "Let another administrator change it.",
    "the last administrator stays.",
    "Make somebody else one first.",
    "this request came from another site.",
    "this server does not go by that name.",
    # review
    "this is no JSON.",
    "Export from Label Studio as JSON.",
    "this is no export of Label Studio.",
    "Export as JSON or JSON-MIN: a list of tasks.",
    # everything else
    "There is nothing at this address. It may have been deleted, or the link may be mistyped.",
    "This address does not take that method.",
    "Something went wrong on the server; it has been logged.",
    "Everything of yours is deleted",
    "Account, pictures, answers and labels.",
    "Malformed request",
    "Not allowed",
    "Not found",
    "Not Found",
    "Method Not Allowed",
    "Conflict",
    "Too many bytes",
    "Too many requests",
    "Not a picture that we read",
    "A picture that cannot be used",
    "Not available for the moment",
    "Who are you?",
    "A fault of ours",
)
"""Sentences and titles; `{name}` is filled where an error is raised."""

THINGS = (
    "a PDF document",
    "a ZIP archive (or an office document)",
    "an empty ZIP archive",
    "a gzip archive",
    "a 7-Zip archive",
    "a RAR archive",
    "a Photoshop document",
    "a JPEG XL picture",
    "a JPEG 2000 picture",
    "an icon file",
    "a video",
    "a program",
    "an SVG drawing",
    "a web page",
    "text",
    "an empty file",
    "an unknown kind of file",
    "reviewer",
    "admin",
)
"""What may fill a place, and has a translation of its own."""


@cache
def _pattern(sentence: str) -> re.Pattern[str]:
    """Finds the sentence at the start of a text; its first letter may be large, as it is where a message begins."""
    parts = [part for part in re.split(r"(\{\w+\})", sentence) if part]
    pattern = "".join(
        f"(?P<{part[1:-1]}>.+?)" if part[0] == "{" else re.escape(part) for part in parts
    )
    if sentence[0].isalpha():
        pattern = f"[{sentence[0].lower()}{sentence[0].upper()}]" + pattern[1:]
    return re.compile(pattern + r"(?=\s|$)")


def say(text: str, gettext: Gettext) -> str:
    """A finished text of several sentences: those that are known said anew, the others as they are."""
    said, rest = [], text.strip()
    while rest:
        found = next(
            ((known, match) for known in SENTENCES if (match := _pattern(known).match(rest))), None
        )
        if found is None:
            head, dot, tail = rest.partition(". ")
            said.append(head + dot.strip())
            rest = tail.strip()
            continue
        known, match = found
        told = gettext(known).format(
            **{name: gettext(value) for name, value in match.groupdict().items()}
        )
        said.append(told[0].upper() + told[1:] if rest[0].isupper() else told)
        rest = rest[match.end() :].strip()
    return " ".join(said)
