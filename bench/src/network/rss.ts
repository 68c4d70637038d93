/** Resident memory of this process after a garbage collection, in bytes. Needs `--expose-gc`. */
export function rssBytes(): number {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error("start the process with --expose-gc");
  gc();
  gc();
  return process.memoryUsage.rss();
}
