/** What a single pass over the text of a line found. */
export interface LineScan {
  /** The deepest nesting of arrays and objects. */
  readonly depth: number;
  /** The longest string, names included, in bytes of UTF-8, escapes counted as written. */
  readonly longestString: number;
  /** The text of the top-level member `id` exactly as it came; `null` when there is none or it is no scalar. */
  readonly rawId: string | null;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;

/**
 * Measures a line before it is parsed, and cuts out the text of its id: `JSON.parse` would lose 64-bit numbers and
 * turn `1.0` into `1`, and a miner waits for its own spelling. Linear, and safe on text that is not JSON; what it
 * returns means something only when `JSON.parse` then accepts the line.
 */
export function scanLine(line: string): LineScan {
  let depth = 0;
  let deepest = 0;
  let longestString = 0;
  let rawId: string | null = null;
  for (let at = 0; at < line.length; at++) {
    const code = line.charCodeAt(at);
    if (code === QUOTE) {
      const text = scanString(line, at);
      if (text.bytes > longestString) longestString = text.bytes;
      const colon = depth === 1 ? skipSpace(line, text.end) : -1;
      // In JSON only a member's name is followed by a colon. Of repeated names the last counts, as in JSON.parse.
      if (colon !== -1 && line.charCodeAt(colon) === COLON && line.slice(at, text.end) === '"id"') {
        rawId = scalarAt(line, skipSpace(line, colon + 1));
      }
      at = text.end - 1;
    } else if (isOpening(code)) {
      depth++;
      if (depth > deepest) deepest = depth;
    } else if (isClosing(code)) {
      depth--;
    }
  }
  return { depth: deepest, longestString, rawId };
}

/** `end` is the index after the closing quote, or the end of the line. */
function scanString(line: string, start: number): { readonly end: number; readonly bytes: number } {
  let bytes = 0;
  for (let at = start + 1; at < line.length; at++) {
    const code = line.charCodeAt(at);
    if (code === QUOTE) return { end: at + 1, bytes };
    if (code === BACKSLASH) {
      at++;
      bytes += 2;
    } else {
      bytes += utf8Length(code);
    }
  }
  return { end: line.length, bytes };
}

/** Bytes of UTF-8 that one UTF-16 unit stands for; the halves of a surrogate pair make two each. */
function utf8Length(unit: number): number {
  if (unit < 0x80) return 1;
  return unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 2 : 3;
}

function scalarAt(line: string, start: number): string | null {
  const first = line.charCodeAt(start);
  if (first === QUOTE) return line.slice(start, scanString(line, start).end);
  if (isOpening(first)) return null;
  let end = start;
  while (end < line.length && !endsScalar(line.charCodeAt(end))) end++;
  return line.slice(start, end);
}

function skipSpace(line: string, start: number): number {
  let at = start;
  while (at < line.length && isSpace(line.charCodeAt(at))) at++;
  return at;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d;
}

function isOpening(code: number): boolean {
  return code === 0x7b || code === 0x5b;
}

function isClosing(code: number): boolean {
  return code === 0x7d || code === 0x5d;
}

function endsScalar(code: number): boolean {
  return code === 0x2c || isClosing(code) || isSpace(code);
}
