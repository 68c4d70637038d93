import { configureGlobal } from "fast-check";

/**
 * Property tests take the same values in every run, so that a failure belongs to the change at hand. Another seed, or
 * `random` for a new one each time, looks further: FAST_CHECK_SEED=random pnpm test:unit
 */
const wanted = process.env["FAST_CHECK_SEED"] ?? "20261121";

if (wanted !== "random") configureGlobal({ seed: Number(wanted) });
