import { NoiseError } from "./errors.ts";

/** Makes the guard of one handshake step: it passes once, and throws NoiseError `step-reused` ever after. */
export function spendable(step: string): () => void {
  let spent = false;
  return () => {
    if (spent) throw new NoiseError("step-reused", `${step} was already called; start a new handshake`);
    spent = true;
  };
}
