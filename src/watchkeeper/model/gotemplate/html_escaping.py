"""Values put into HTML, escaped by where they are put, as Go's html/template does.

source  Go, html/template: escape.go, html.go, url.go, css.go, js.go
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from watchkeeper.model.gotemplate.html_places import Place, Position, Reader, UrlPart, kind_of_attribute
from watchkeeper.model.gotemplate.values import SafeText

UNSAFE = "ZgotmplZ"  # what Go puts in the place of what cannot be made safe

_TEXT = str.maketrans({
    "\0": "\ufffd", '"': "&#34;", "&": "&amp;", "'": "&#39;", "+": "&#43;", "<": "&lt;", ">": "&gt;",
})  # fmt: skip
_UNQUOTED = _TEXT | str.maketrans({
    "\0": "&#xfffd;", "\t": "&#9;", "\n": "&#10;", "\v": "&#11;", "\f": "&#12;", "\r": "&#13;", " ": "&#32;",
    "=": "&#61;", "`": "&#96;",
})  # fmt: skip
_JS_STRING = str.maketrans({
    "\0": r"\u0000", "\t": r"\t", "\n": r"\n", "\v": r"\u000b", "\f": r"\f", "\r": r"\r", '"': r"\u0022",
    "`": r"\u0060", "&": r"\u0026", "'": r"\u0027", "+": r"\u002b", "/": r"\/", "<": r"\u003c", ">": r"\u003e",
    "\\": r"\\", "\u2028": r"\u2028", "\u2029": r"\u2029",
})  # fmt: skip
_JS_TEMPLATE = _JS_STRING | str.maketrans({"$": r"\u0024", "{": r"\u007b", "}": r"\u007d"})
_JS_VALUE = str.maketrans({
    "<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029",
})  # fmt: skip
_CSS_ESCAPED = {
    "\0": r"\0", "\t": r"\9", "\n": r"\a", "\f": r"\c", "\r": r"\d", '"': r"\22", "&": r"\26", "'": r"\27", "(": r"\28",
    ")": r"\29", "+": r"\2b", "/": r"\2f", ":": r"\3a", ";": r"\3b", "<": r"\3c", ">": r"\3e", "\\": r"\\",
    "{": r"\7b", "}": r"\7d",
}  # fmt: skip
_CSS_FORBIDDEN = frozenset("\0\"'()/;@[\\]`{}<>")
_CSS_CHARACTER = re.compile(r"\\([0-9a-fA-F]{1,6})[ \t\n\f\r]?|\\(.)", re.DOTALL)
_PATH = re.compile(rb"[A-Za-z0-9\-._~!#$&*+,/:;=?@\[\]]")
_QUERY = re.compile(rb"[A-Za-z0-9\-._~]")
_ESCAPED_BYTE = re.compile(rb"%[0-9a-fA-F]{2}")
_SCHEMES = frozenset({"http", "https", "mailto"})


class HtmlEscaper:
    """Makes one HTML text: its literal parts and its values, in their order."""

    def __init__(self) -> None:
        self._reader = Reader()

    def literal(self, text: str) -> str:
        """Give literal text as it is to be written."""
        return self._reader.read(text)

    def value(self, value: Any, text: str, done: str = "") -> str:
        """Give a value, of which `text` is what it prints as, as it is to be written at this place.

        done  the escaper that made it, html or urlquery: what is equal to that is not done twice
        """
        at = self._reader.expect()
        if done == "urlquery" and at.place is Place.URL:
            escaped = _of_attribute(at, text)
        elif done == "html" and at.quote != " " and at.place in (Place.TEXT, Place.RCDATA, Place.ATTRIBUTE):
            escaped = text
        else:
            escaped = _BY_PLACE[at.place](at, value, text)
        self._reader.put()
        return escaped


def _in_text(_at: Position, value: Any, text: str) -> str:
    return text if isinstance(value, SafeText) else text.translate(_TEXT)


def _in_tag(_at: Position, _value: Any, text: str) -> str:
    """Take a name of an attribute, if it can do no harm."""
    name = text.lower()
    harmless = name.isascii() and name.isalnum() and kind_of_attribute(name) is Place.ATTRIBUTE
    return name if harmless else UNSAFE


def _of_attribute(at: Position, text: str) -> str:
    """Escape what is written in an attribute, by how its value is quoted; elsewhere give it as it is."""
    if at.quote == " ":
        return text.translate(_UNQUOTED) or UNSAFE
    return text.translate(_TEXT) if at.quote else text


def _in_attribute(at: Position, _value: Any, text: str) -> str:
    return _of_attribute(at, text)


def _in_url(at: Position, _value: Any, text: str) -> str:
    return _of_attribute(at, _url(at.url, text))


def _url(part: UrlPart, text: str) -> str:
    if part is UrlPart.QUERY:
        return _percent(text, _QUERY, keep_escapes=False)
    if part is UrlPart.NONE:
        scheme, colon, _ = text.partition(":")
        if colon and "/" not in scheme and scheme.lower() not in _SCHEMES:
            return f"#{UNSAFE}"
    return _percent(text, _PATH, keep_escapes=True)


def _percent(text: str, plain: "re.Pattern[bytes]", *, keep_escapes: bool) -> str:
    raw, out, at = text.encode(), bytearray(), 0
    while at < len(raw):
        kept = 3 if keep_escapes and _ESCAPED_BYTE.match(raw, at) else 1
        part = raw[at : at + kept]
        out += part if kept > 1 or plain.match(part) else b"%%%02x" % part[0]
        at += kept
    return out.decode()


def _in_css(at: Position, _value: Any, text: str) -> str:
    return _of_attribute(at, text if _is_plain_css(text) else UNSAFE)


def _is_plain_css(text: str) -> bool:
    """Say whether a text is a value of CSS that can do no harm: a word, a number, a colour."""
    plain = _CSS_CHARACTER.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)
    if _CSS_FORBIDDEN & set(plain) or "--" in plain:
        return False
    word = re.sub(r"[^a-z0-9_-]", "", plain.lower())
    return "expression" not in word and "mozbinding" not in word.replace("-", "")


def _in_css_string(at: Position, _value: Any, text: str) -> str:
    return _of_attribute(at, _css_string(text))


def _css_string(text: str) -> str:
    out = []
    for number, character in enumerate(text):
        escaped = _CSS_ESCAPED.get(character)
        out.append(character if escaped is None else escaped)
        following = text[number + 1 : number + 2]
        if (
            escaped is not None
            and escaped != r"\\"
            and (following in set("0123456789abcdefABCDEF \t\n\f\r") and following)
        ):
            out.append(" ")
    return "".join(out)


def _in_css_url(at: Position, _value: Any, text: str) -> str:
    return _of_attribute(at, _url(at.url, text))


def _in_js(at: Position, value: Any, _text: str) -> str:
    plain = str(value) if isinstance(value, str) else value
    try:
        written = orjson.dumps(plain).decode()
    except TypeError:
        written = orjson.dumps(str(value)).decode()
    written = written.translate(_JS_VALUE)
    names = (written[0], written[-1])
    if any(one.isalnum() or one in "_$" for one in names):  # so that it does not become part of a word beside it
        written = f" {written} "
    return _of_attribute(at, written)


def _in_js_string(at: Position, _value: Any, text: str) -> str:
    return _of_attribute(at, text.translate(_JS_STRING))


def _in_js_template(at: Position, _value: Any, text: str) -> str:
    return _of_attribute(at, text.translate(_JS_TEMPLATE))


def _nowhere(_at: Position, _value: Any, _text: str) -> str:
    return ""


_BY_PLACE: Mapping[Place, Callable[[Position, Any, str], str]] = {
    Place.TEXT: _in_text,
    Place.RCDATA: lambda _at, _value, text: text.translate(_TEXT),
    Place.COMMENT: _nowhere,
    Place.TAG: _in_tag,
    Place.ATTRIBUTE_NAME: _in_tag,
    Place.AFTER_NAME: _in_tag,
    Place.ATTRIBUTE: _in_attribute,
    Place.URL: _in_url,
    Place.CSS: _in_css,
    Place.CSS_STRING: _in_css_string,
    Place.CSS_URL: _in_css_url,
    Place.CSS_COMMENT: _nowhere,
    Place.JS: _in_js,
    Place.JS_STRING: _in_js_string,
    Place.JS_TEMPLATE: _in_js_template,
    Place.JS_COMMENT: _nowhere,
}
