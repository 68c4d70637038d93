/** An iterable over `iterator` that hands it out once; a second iteration throws, so two loops cannot share the bytes. */
export function iterateOnce<T>(what: string, iterator: AsyncIterator<T, undefined>): AsyncIterable<T> {
  let taken = false;
  return {
    [Symbol.asyncIterator]() {
      if (taken) throw new Error(`${what} can be iterated once`);
      taken = true;
      return iterator;
    },
  };
}
