import { BitcoinError } from "./errors.ts";

const INPUT = "0123456789()[],'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#\"\\ ";
const OUTPUT = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR: readonly bigint[] = [0xf5dee51989n, 0xa9fdca3312n, 0x1bab10e32dn, 0x3706b1677an, 0x644d626ffdn];

/**
 * The eight characters that guard a descriptor against typing mistakes (BIP380).
 *
 * @throws BitcoinError `bad-descriptor` when a character is outside BIP380's set.
 */
export function descriptorChecksum(descriptor: string): string {
  let state = 1n;
  for (const symbol of symbolsOf(descriptor)) state = step(state, symbol);
  for (let padding = 0; padding < 8; padding++) state = step(state, 0);
  state ^= 1n;
  return Array.from({ length: 8 }, (_, at) => OUTPUT[Number((state >> BigInt(5 * (7 - at))) & 31n)]).join("");
}

/** Each character gives its low five bits at once; its group (0 to 2) is gathered and given every third time. */
function* symbolsOf(descriptor: string): Generator<number> {
  let groups: number[] = [];
  for (const character of descriptor) {
    const position = INPUT.indexOf(character);
    if (position < 0) throw new BitcoinError("bad-descriptor", "a character is not allowed in descriptors");
    yield position & 31;
    groups.push(position >> 5);
    if (groups.length === 3) {
      yield groups.reduce((sum, group) => sum * 3 + group, 0);
      groups = [];
    }
  }
  if (groups.length > 0) yield groups.reduce((sum, group) => sum * 3 + group, 0);
}

function step(state: bigint, symbol: number): bigint {
  const top = state >> 35n;
  let next = ((state & 0x7ffffffffn) << 5n) ^ BigInt(symbol);
  GENERATOR.forEach((generator, bit) => {
    if (((top >> BigInt(bit)) & 1n) === 1n) next ^= generator;
  });
  return next;
}
