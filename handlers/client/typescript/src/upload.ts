import { answerOf, type Api } from "./client.js";
import { ProblemError } from "./problem.js";
import type { components } from "./schema.js";
import { pause } from "./sending.js";

type Upload = components["schemas"]["Upload"];
type Part = Upload["missing"][number];

export interface UploadOptions {
  /** How the file is called; a `File` knows that itself. */
  filename?: string;
  contentType?: string;
  /**
   * What tells this file from others: the same one finds its upload again, after a reload too.
   * Without one it is made of the name, size, date and three megabytes of the file.
   */
  fingerprint?: string;
  /** Parts that are sent at a time. */
  parallel?: number;
  /** How often a part is sent, where storage is in trouble. */
  tries?: number;
  /** Called with the bytes that have arrived, those of earlier tries too. */
  onProgress?: (arrived: number, total: number) => void;
  /** Stops sending. What has arrived is kept: the same upload again goes on from there. */
  signal?: AbortSignal;
  /** Instead of the global `fetch`, for storage. */
  fetch?: typeof globalThis.fetch;
}

/** Storage took parts and lost them, or refuses what the API has signed. */
export class UploadError extends Error {
  override readonly name = "UploadError";
}

const SESSIONS = 50;
// What befell the platform and not the song: the same file may well be taken next time.
const NOT_THE_SONGS_FAULT = new Set([
  "probe_failed",
  "ffmpeg_timeout",
  "ffmpeg_failed",
  "source_missing",
]);

/**
 * Sends the file straight to storage and completes the upload; it is probed next, which
 * `GET /v1/library/{asset_id}` tells. What has arrived before is not sent again.
 */
export async function upload(api: Api, file: Blob, options: UploadOptions = {}): Promise<Upload> {
  const session = await openSession(api, file, options);
  return session.status === "uploading" ? await new Sending(api, file, options).run(session) : session;
}

/** Gives an upload up: what has arrived of it is removed. */
export async function abandon(api: Api, assetId: string): Promise<void> {
  await answerOf(api.DELETE("/v1/uploads/{asset_id}", { params: { path: { asset_id: assetId } } }));
}

/** Name, size, date and SHA-256 of the first, middle and last megabyte, in short. */
export async function fingerprintOf(file: Blob, filename: string): Promise<string> {
  const mebibyte = 1024 * 1024;
  const starts = [0, Math.max(0, Math.floor(file.size / 2)), Math.max(0, file.size - mebibyte)];
  const parts = starts.map((start) => file.slice(start, start + mebibyte));
  const date = file instanceof File ? file.lastModified : 0;
  const told = new Blob([`${filename}\n${file.size}\n${date}\n`, ...parts]);
  const digest = await crypto.subtle.digest("SHA-256", await told.arrayBuffer());
  return Array.from(new Uint8Array(digest).slice(0, 20), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}

async function openSession(api: Api, file: Blob, options: UploadOptions): Promise<Upload> {
  const filename = options.filename ?? (file instanceof File ? file.name : "upload");
  const body = {
    filename,
    size: file.size,
    content_type: options.contentType ?? (file.type || "application/octet-stream"),
  };
  const fingerprint = options.fingerprint ?? (await fingerprintOf(file, filename));
  for (let number = 1; number < SESSIONS; number++) {
    const key = `upload-${fingerprint}-${number}`;
    try {
      const opened = await answerOf(
        api.POST("/v1/uploads", {
          body,
          params: { header: { "Idempotency-Key": key } },
          ...signalOf(options),
        }),
      );
      // The answer of the first time may be given again: ask how it stands now.
      const session = await sessionOf(api, opened.asset_id, 0, options);
      if (!endedInVain(session)) return session;
    } catch (error) {
      if (!(error instanceof ProblemError) || error.code !== "upload_expired") throw error;
    }
  }
  throw new UploadError("This upload failed too often.");
}

function endedInVain(session: Upload): boolean {
  if (session.status === "rejected" && session.failure) {
    return NOT_THE_SONGS_FAULT.has(session.failure.code);
  }
  return session.status === "aborted";
}

async function sessionOf(
  api: Api,
  assetId: string,
  after: number,
  options: UploadOptions,
): Promise<Upload> {
  return await answerOf(
    api.GET("/v1/uploads/{asset_id}", {
      params: { path: { asset_id: assetId }, query: { after } },
      ...signalOf(options),
    }),
  );
}

function signalOf(options: UploadOptions): { signal?: AbortSignal } {
  return options.signal === undefined ? {} : { signal: options.signal };
}

class Sending {
  private readonly etags = new Map<number, string>();
  private readonly failed = new AbortController();
  private arrived = 0;

  constructor(
    private readonly api: Api,
    private readonly file: Blob,
    private readonly options: UploadOptions,
  ) {}

  async run(session: Upload): Promise<Upload> {
    const assetId = session.asset_id;
    for (const part of session.received) this.arrived += part.size;
    this.note(session);
    this.tell(0);
    let page = session;
    while (page.missing.length > 0) {
      const before = this.etags.size;
      const expired = await this.sendAll(page.missing, page.part_size);
      if (this.etags.size === before) {
        throw new UploadError("Storage refuses the URLs that the API has just signed (403).");
      }
      const last = page.missing.at(-1)?.number ?? 0;
      const after = expired.length > 0 ? Math.min(...expired) - 1 : last;
      page = await sessionOf(this.api, assetId, after, this.options);
      this.note(page);
    }
    const parts = [...this.etags]
      .sort(([a], [b]) => a - b)
      .map(([number, etag]) => ({ number, etag }));
    return await answerOf(
      this.api.POST("/v1/uploads/{asset_id}/complete", {
        params: { path: { asset_id: assetId } },
        body: { parts },
        ...signalOf(this.options),
      }),
    );
  }

  private note(page: Upload): void {
    for (const part of page.received) this.etags.set(part.number, part.etag);
  }

  /** The numbers of the parts whose URLs had expired. */
  private async sendAll(missing: readonly Part[], partSize: number): Promise<number[]> {
    const waiting = [...missing];
    const expired: number[] = [];
    const lane = async (): Promise<void> => {
      for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
        if (!(await this.send(part, partSize))) expired.push(part.number);
      }
    };
    const lanes = Array.from({ length: this.options.parallel ?? 4 }, lane);
    try {
      await Promise.all(lanes);
    } catch (error) {
      waiting.length = 0;
      this.failed.abort(error);
      await Promise.allSettled(lanes);
      throw error;
    }
    return expired;
  }

  private async send(part: Part, partSize: number): Promise<boolean> {
    const start = (part.number - 1) * partSize;
    const body = this.file.slice(start, start + part.size);
    const fetch = this.options.fetch ?? globalThis.fetch;
    const signals = [this.failed.signal, ...(this.options.signal ? [this.options.signal] : [])];
    const signal = AbortSignal.any(signals);
    const tries = this.options.tries ?? 5;
    for (let attempt = 1; ; attempt++) {
      let trouble: unknown;
      try {
        const response = await fetch(part.url, { method: "PUT", body, signal });
        const etag = response.headers.get("ETag");
        if (response.ok && etag) {
          this.etags.set(part.number, etag);
          this.tell(part.size);
          return true;
        }
        if (response.status === 403) return false;
        trouble = response.ok ? "no ETag; does CORS expose it?" : response.status;
        if (response.status === 400 || response.status === 404) attempt = tries;
      } catch (error) {
        signal.throwIfAborted();
        trouble = error;
      }
      if (attempt >= tries) {
        throw new UploadError(`Part ${part.number} could not be sent (${String(trouble)}).`);
      }
      await pause(attempt, undefined, signal);
    }
  }

  private tell(bytes: number): void {
    this.arrived += bytes;
    this.options.onProgress?.(this.arrived, this.file.size);
  }
}
