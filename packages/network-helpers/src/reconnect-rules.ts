/** How every client role treats a peer that asks to be reached elsewhere (spec 3.6.5). */
export const reconnectRules = {
  /** Requests that are followed: so many at once, and so many a second after that. More is a fault. */
  followed: { burst: 3, perSecond: 1 / 60 },
  /** Longest wait for the place that was named, dial and first work together, in milliseconds. */
  successionMs: 30_000,
} as const;
