"""Where in an HTML text one is: what Go's html/template needs to know to escape what is put there.

The text is read once, from left to right, as a browser's tokenizer would, but for what no browser agrees on.

source  Go, html/template: context.go, transition.go, attr.go
"""

import re
from dataclasses import dataclass
from enum import Enum, auto


class Place(Enum):
    """A kind of place in HTML."""

    TEXT = auto()
    RCDATA = auto()  # inside <title> and <textarea>
    COMMENT = auto()
    TAG = auto()  # inside a tag, where an attribute may begin
    ATTRIBUTE_NAME = auto()
    AFTER_NAME = auto()
    BEFORE_VALUE = auto()
    ATTRIBUTE = auto()
    URL = auto()
    CSS = auto()
    CSS_STRING = auto()
    CSS_URL = auto()
    CSS_COMMENT = auto()
    JS = auto()
    JS_STRING = auto()
    JS_TEMPLATE = auto()
    JS_COMMENT = auto()


class UrlPart(Enum):
    """How far into a URL one is."""

    NONE = auto()
    PATH = auto()
    QUERY = auto()  # or fragment


_URLS = frozenset(
    [
        "action",
        "archive",
        "background",
        "cite",
        "classid",
        "codebase",
        "data",
        "formaction",
        "href",
        "icon",
        "longdesc",
        "manifest",
        "poster",
        "profile",
        "src",
        "srcset",
        "usemap",
        "xmlns",
    ]
)
_RAW = {"script": Place.JS, "style": Place.CSS, "textarea": Place.RCDATA, "title": Place.RCDATA}
_TAG_NAME = re.compile(r"</?([a-zA-Z][a-zA-Z0-9:-]*)")
_ENDS_OF = {
    "script": re.compile(r"</script\b", re.IGNORECASE),
    "style": re.compile(r"</style\b", re.IGNORECASE),
    "textarea": re.compile(r"</textarea\b", re.IGNORECASE),
    "title": re.compile(r"</title\b", re.IGNORECASE),
    '"': re.compile('"'),
    "'": re.compile("'"),
    " ": re.compile(r"[\s>]"),
}
_ATTRIBUTE_NAME = re.compile(r"[^\s\"'>/=<]+")
_DOCTYPE = "<!doctype"
_SCRIPTS = frozenset(
    [
        "application/ecmascript",
        "application/javascript",
        "application/json",
        "application/ld+json",
        "application/x-ecmascript",
        "application/x-javascript",
        "module",
        "text/ecmascript",
        "text/javascript",
        "text/x-ecmascript",
        "text/x-javascript",
    ]
)


def kind_of_attribute(name: str) -> Place:
    """Say what an attribute's value is: a URL, CSS, JavaScript, or text."""
    name = name.lower()
    if name.startswith("data-"):
        name = name.removeprefix("data-")
    elif ":" in name:
        prefix, _, name = name.partition(":")
        if prefix == "xmlns":
            return Place.URL
    if name in _URLS:
        return Place.URL
    if name == "style":
        return Place.CSS
    if name.startswith("on"):
        return Place.JS
    return Place.URL if any(part in name for part in ("src", "uri", "url")) else Place.ATTRIBUTE


@dataclass(slots=True)
class Position:
    """A place, and how one came there.

    quote    what ends the attribute's value: a quote, or " " for one without; "" outside of values
    element  the element whose text is not HTML and whose end is waited for: script, style, textarea, title
    string   what ends the string of CSS or JavaScript, or "*/" and newline of a comment
    """

    place: Place = Place.TEXT
    quote: str = ""
    element: str = ""
    string: str = ""
    url: UrlPart = UrlPart.NONE
    tag: str = ""
    name: str = ""
    is_script: bool = True
    value: str = ""


class Reader:
    """Follows literal HTML, and gives it as Go writes it: without comments, and `<` where no tag begins escaped."""

    def __init__(self) -> None:
        self.at = Position()

    def read(self, text: str) -> str:
        """Go on over literal text."""
        out: list[str] = []
        at = 0
        while at < len(text):
            end, kept = _STEPS[self.at.place](self, text, at)
            out.append(text[at:end] if kept is None else kept)
            at = end
        return "".join(out)

    def expect(self) -> Position:
        """Give the place of a value that is to be put here."""
        if self.at.place is Place.BEFORE_VALUE:
            self._begin_value(" ")
        return self.at

    def put(self) -> None:
        """Note that a value was put here."""
        if self.at.place is Place.URL and self.at.url is UrlPart.NONE:
            self.at.url = UrlPart.PATH

    # -- each gives where it came to, and what to write in place of what it read, None for that itself

    def _text(self, text: str, at: int) -> tuple[int, str | None]:
        start = text.find("<", at)
        if start < 0:
            return len(text), None
        if start > at:
            return start, None
        if text.startswith("<!--", at):
            self.at.place = Place.COMMENT
            return at + 4, ""
        found = _TAG_NAME.match(text, at)
        if found is not None:
            closes = text[at + 1] == "/"
            self.at.place, self.at.tag = Place.TAG, "" if closes else found.group(1).lower()
            self.at.is_script = True
            return found.end(), None
        return at + 1, None if text[at : at + len(_DOCTYPE)].lower() == _DOCTYPE else "&lt;"

    def _comment(self, text: str, at: int) -> tuple[int, str | None]:
        end = text.find("-->", at)
        if end < 0:
            return len(text), ""
        self.at.place = Place.TEXT
        return end + 3, ""

    def _raw(self, text: str, at: int) -> tuple[int, str | None]:
        """Read on in <title> and <textarea> until they end."""
        end = self._end_of_element(text, at)
        if end > at:
            return end, text[at:end].replace("<", "&lt;")
        self.at = Position()
        return at, ""

    def _end_of_element(self, text: str, at: int) -> int:
        found = _ENDS_OF[self.at.element].search(text, at)
        return len(text) if found is None else found.start()

    def _tag(self, text: str, at: int) -> tuple[int, str | None]:
        character = text[at]
        if character == ">":
            element = self.at.tag if self.at.tag in _RAW else ""
            place = _RAW.get(self.at.tag, Place.TEXT)
            if element == "script" and not self.at.is_script:
                place = Place.RCDATA
            self.at = Position(place, element=element)
            return at + 1, None
        found = _ATTRIBUTE_NAME.match(text, at)
        if found is None:
            return at + 1, None
        self.at.place, self.at.name = Place.ATTRIBUTE_NAME, found.group()
        return found.end(), None

    def _attribute_name(self, text: str, at: int) -> tuple[int, str | None]:
        found = _ATTRIBUTE_NAME.match(text, at)
        if found is not None:
            self.at.name += found.group()
            return found.end(), None
        self.at.place = Place.AFTER_NAME
        return at, ""

    def _after_name(self, text: str, at: int) -> tuple[int, str | None]:
        if text[at].isspace():
            return at + 1, None
        if text[at] != "=":
            self.at.place = Place.TAG
            return at, ""
        self.at.place = Place.BEFORE_VALUE
        return at + 1, None

    def _before_value(self, text: str, at: int) -> tuple[int, str | None]:
        if text[at].isspace():
            return at + 1, None
        if text[at] in "\"'":
            self._begin_value(text[at])
            return at + 1, None
        if text[at] == ">":
            self.at.place = Place.TAG
            return at, ""
        self._begin_value(" ")
        return at, ""

    def _begin_value(self, quote: str) -> None:
        self.at.place, self.at.quote = kind_of_attribute(self.at.name), quote
        self.at.url, self.at.string, self.at.value = UrlPart.NONE, "", ""

    def _in_value(self, text: str, at: int) -> tuple[int, str | None]:
        """Read on in an attribute's value, which ends with its quote, whatever is in it."""
        ending = _ENDS_OF[self.at.quote].search(text, at)
        end = len(text) if ending is None else ending.start()
        if end > at:
            self._within(text[at:end])  # comments of attributes stay, as in Go
            return end, None
        if self.at.tag == "script" and self.at.name.lower() == "type":
            self.at.is_script = self.at.value.partition(";")[0].strip().lower() in _SCRIPTS
        self.at.place, after = Place.TAG, at + (self.at.quote != " ")
        self.at.quote = ""
        return after, None if after > at else ""

    def _in_code(self, text: str, at: int) -> tuple[int, str | None]:
        """Read on in CSS or JavaScript: of an attribute, or of an element."""
        if self.at.quote:
            return self._in_value(text, at)
        end = self._end_of_element(text, at)
        if end > at:
            return end, self._within(text[at:end])
        self.at = Position()
        return at, ""

    def _within(self, part: str) -> str:
        """Read a part of an attribute's value, or of an element's code; give it without comments of the latter."""
        self.at.value += part
        if self.at.place is Place.URL:
            if any(character in part for character in "?#"):
                self.at.url = UrlPart.QUERY
            elif self.at.url is UrlPart.NONE and part.strip():
                self.at.url = UrlPart.PATH
        elif self.at.place is not Place.ATTRIBUTE:
            follow = _follow_js if self.at.place in _JS_PLACES else _follow_css
            return follow(self.at, part)
        return part


_JS_PLACES = frozenset({Place.JS, Place.JS_STRING, Place.JS_TEMPLATE, Place.JS_COMMENT})
_JS_TOKEN = re.compile(r"//|/\*|[\"'`]")
_CSS_TOKEN = re.compile(r"/\*|url\(\s*[\"']?|[\"']", re.IGNORECASE)


def _follow_js(at: Position, part: str) -> str:
    """Find out whether code ends in a string or a comment; give it without comments."""
    out, here = [], 0
    while here < len(part):
        begun = here
        if at.place is Place.JS:
            found = _JS_TOKEN.search(part, here)
            begins = found.group() if found else ""
            here = found.end() if found else len(part)
            if begins in ("//", "/*"):
                out.append(part[begun : here - 2])
                at.place, at.string = Place.JS_COMMENT, "\n" if begins == "//" else "*/"
                continue
            if begins:
                at.place, at.string = Place.JS_TEMPLATE if begins == "`" else Place.JS_STRING, begins
        elif at.place is Place.JS_COMMENT:
            here = _end(part, here, at.string, escapes=False)
            if at.string == "*/":
                out.append("\n" if "\n" in part[begun:here] else " ")
            if here <= len(part):
                at.place = Place.JS
                here -= at.string == "\n"  # the line's end stays
            continue
        else:
            here = _end(part, here, at.string, escapes=True)
            at.place = Place.JS if here <= len(part) else at.place
        out.append(part[begun:here])
    return "".join(out)


def _follow_css(at: Position, part: str) -> str:
    out, here = [], 0
    while here < len(part):
        begun = here
        if at.place is Place.CSS:
            found = _CSS_TOKEN.search(part, here)
            begins = found.group() if found else ""
            here = found.end() if found else len(part)
            if begins == "/*":
                out.append(part[begun : here - 2])
                at.place, at.string = Place.CSS_COMMENT, "*/"
                continue
            if begins.lower().startswith("url"):
                at.place, at.url = Place.CSS_URL, UrlPart.NONE
                at.string = begins[-1] if begins[-1] in "\"'" else ")"
            elif begins:
                at.place, at.string = Place.CSS_STRING, begins
        elif at.place is Place.CSS_COMMENT:
            here = _end(part, here, at.string, escapes=False)
            out.append(" ")
            at.place = Place.CSS if here <= len(part) else at.place
            continue
        else:
            here = _end(part, here, at.string, escapes=True)
            if at.place is Place.CSS_URL and part[begun:here].strip():
                at.url = UrlPart.QUERY if any(one in part[begun:here] for one in "?#") else UrlPart.PATH
            at.place = Place.CSS if here <= len(part) else at.place
        out.append(part[begun:here])
    return "".join(out)


def _end(part: str, at: int, ending: str, *, escapes: bool) -> int:
    """Give where a string or comment ends, beyond the part when it goes on."""
    while at < len(part):
        if escapes and part[at] == "\\":
            at += 2
        elif part.startswith(ending, at):
            return at + len(ending)
        else:
            at += 1
    return len(part) + 1


_STEPS = {
    Place.TEXT: Reader._text,  # noqa: SLF001 (its own table)
    Place.RCDATA: Reader._raw,  # noqa: SLF001
    Place.COMMENT: Reader._comment,  # noqa: SLF001
    Place.TAG: Reader._tag,  # noqa: SLF001
    Place.ATTRIBUTE_NAME: Reader._attribute_name,  # noqa: SLF001
    Place.AFTER_NAME: Reader._after_name,  # noqa: SLF001
    Place.BEFORE_VALUE: Reader._before_value,  # noqa: SLF001
    Place.ATTRIBUTE: Reader._in_value,  # noqa: SLF001
    Place.URL: Reader._in_value,  # noqa: SLF001
    **dict.fromkeys(
        (
            *(Place.CSS, Place.CSS_STRING, Place.CSS_URL, Place.CSS_COMMENT),
            *(Place.JS, Place.JS_STRING, Place.JS_TEMPLATE, Place.JS_COMMENT),
        ),
        Reader._in_code,  # noqa: SLF001
    ),
}
