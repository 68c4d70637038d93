export { FastCryptoError, type LoadedCrypto, loadCrypto } from "./load.ts";
