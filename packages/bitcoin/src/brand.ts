declare const brand: unique symbol;

/** `Base` marked with a name that only one constructor gives, so that look-alikes are not mixed up. */
export type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };
