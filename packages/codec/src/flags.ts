/** SetupConnection.flags, mining: the client cannot process extended jobs (spec 5.3.1). */
export const REQUIRES_STANDARD_JOBS = 1;

/** SetupConnection.flags, mining: the client will send SetCustomMiningJob (spec 5.3.1). */
export const REQUIRES_WORK_SELECTION = 2;

/** SetupConnection.flags, mining: the server must not send jobs that forbid version rolling (spec 5.3.1). */
export const REQUIRES_VERSION_ROLLING = 4;

/** SetupConnection.Success.flags, mining: the server accepts no change of the version field (spec 5.3.1). */
export const REQUIRES_FIXED_VERSION = 1;

/** SetupConnection.Success.flags, mining: the server opens no standard channels (spec 5.3.1). */
export const REQUIRES_EXTENDED_CHANNELS = 2;

/** SetupConnection.flags, job declaration: the client agrees to reveal the template's transactions (spec 6.4.1). */
export const DECLARE_TX_DATA = 1;
