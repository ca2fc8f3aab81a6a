/** Terminal colours in log lines, as pieces of text with a class; never markup. */

export interface Piece {
  text: string;
  classes: string;
}

// eslint-disable-next-line no-control-regex
const SEQUENCE = /\u001b\[([\d;]*)([A-Za-z])/g;
const COLORS = ['black', 'red', 'green', 'yellow', 'blue', 'purple', 'cyan', 'white'];

/** Splits a line at its escape sequences; sequences other than colours are dropped. */
export function ansiPieces(line: string): Piece[] {
  if (!line.includes('\u001b')) return [{ text: line, classes: '' }];
  const pieces: Piece[] = [];
  let color = '';
  let bold = false;
  let from = 0;
  for (const match of line.matchAll(SEQUENCE)) {
    if (match.index > from) pieces.push({ text: line.slice(from, match.index), classes: classes(color, bold) });
    from = match.index + match[0].length;
    if (match[2] !== 'm') continue;
    for (const code of (match[1] || '0').split(';').map(Number)) {
      if (code === 0) { color = ''; bold = false; }
      else if (code === 1) bold = true;
      else if (code === 22) bold = false;
      else if (code >= 30 && code <= 37) color = COLORS[code - 30];
      else if (code >= 90 && code <= 97) color = COLORS[code - 90];
      else if (code === 39) color = '';
    }
  }
  if (from < line.length) pieces.push({ text: line.slice(from), classes: classes(color, bold) });
  return pieces;
}

function classes(color: string, bold: boolean): string {
  return [color && `ansi-${color}`, bold && 'ansi-bold'].filter(Boolean).join(' ');
}
