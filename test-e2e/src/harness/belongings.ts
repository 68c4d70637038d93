/** What something has opened and must close: an AsyncDisposableStack, which Node 20 lacks. */
export class Belongings implements AsyncDisposable {
  readonly #things: (Disposable | AsyncDisposable)[] = [];

  /** Takes a thing over, and returns it. */
  own<T extends Disposable | AsyncDisposable>(thing: T): T {
    this.#things.push(thing);
    return thing;
  }

  /** Closes everything, the newest first, even when one of them fails to. Rejects with what failed first. */
  async [Symbol.asyncDispose](): Promise<void> {
    const faults: unknown[] = [];
    for (const thing of this.#things.splice(0).toReversed()) {
      try {
        await (Symbol.asyncDispose in thing ? thing[Symbol.asyncDispose]() : thing[Symbol.dispose]());
      } catch (fault) {
        faults.push(fault);
      }
    }
    if (faults.length > 0) throw faults[0];
  }
}

/** Resolves to what `open` makes. When it fails, what it has opened until then is closed. */
export async function opened<T>(open: (belongings: Belongings) => Promise<T>): Promise<T> {
  const belongings = new Belongings();
  try {
    return await open(belongings);
  } catch (fault) {
    await belongings[Symbol.asyncDispose]();
    throw fault;
  }
}
