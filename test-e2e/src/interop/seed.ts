/** What all random values of a run follow from. Another one looks further: INTEROP_SEED=7 pnpm test:interop */
export const interopSeed = Number(process.env["INTEROP_SEED"] ?? "20261127");
