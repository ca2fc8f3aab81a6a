"""Go's text/template, interpreted: the language of annotations and notifications. Knows no metric and no alert.

lexer      text → tokens
nodes      the tree, and how each node is written back
parser     tokens → tree, with Go's error texts
values     what Go calls a value's type, whether it is true, how it is printed; Record, StringMap, SafeText
floats     floating point numbers as Go's strconv writes them
printf     Go's fmt.Sprintf, with its %!verb(type=value) complaints
builtins   and, eq, index, printf, html …
execution  the tree walked over data, within limits on steps, depth and bytes
times      GoTime: a moment with Go's Format
texts      functions on texts that several programs give their templates: title, match, reReplaceAll
html_places, html_escaping  where in HTML a value is put, and how it is escaped there
template   Template: parse and execute, the door; INVOKE, which calls another template as a function
"""

from watchkeeper.model.gotemplate.builtins import Function
from watchkeeper.model.gotemplate.floats import format_float
from watchkeeper.model.gotemplate.printf import sprint, sprintf
from watchkeeper.model.gotemplate.template import INVOKE, Template
from watchkeeper.model.gotemplate.times import GoTime
from watchkeeper.model.gotemplate.values import Record, SafeText, StringMap, is_true

__all__ = [
    "INVOKE",
    "Function",
    "GoTime",
    "Record",
    "SafeText",
    "StringMap",
    "Template",
    "format_float",
    "is_true",
    "sprint",
    "sprintf",
]
