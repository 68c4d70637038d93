export { type FolderLock, FolderLockError, type FolderLockErrorCode, lockFolder } from "./folder-lock.ts";
