/** Something that is waited for, and looked at again whenever what it depends on may have changed. */
export class Condition {
  readonly #holds: () => boolean;
  readonly #waiting: (() => void)[] = [];

  /** `holds`: whether it is so now. */
  constructor(holds: () => boolean) {
    this.#holds = holds;
  }

  /** Resolves when it holds: now, or at the first {@link check} that finds it so. */
  async met(): Promise<void> {
    if (this.#holds()) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** What it depends on may have changed. */
  check(): void {
    if (this.#waiting.length === 0 || !this.#holds()) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
