export { answerOf, createApi, type Api, type ApiOptions } from "./client.js";
export { END, EventParser, events, type EventOptions, type ServerEvent } from "./events.js";
export { ProblemError, problemOf, type ProblemDocument } from "./problem.js";
export type { components, operations, paths } from "./schema.js";
export { sending, type SendingOptions, type TokenSource } from "./sending.js";
export { abandon, fingerprintOf, upload, UploadError, type UploadOptions } from "./upload.js";
