import { problemOf, type ProblemError } from "./problem.js";
import { pause, type TokenSource } from "./sending.js";

/** One server-sent event. `id` is the last that was told: resume after it. */
export interface ServerEvent {
  readonly name: string;
  readonly data: string;
  readonly id: string;
}

export interface EventOptions {
  token: TokenSource;
  /** Resume after this event. */
  lastEventId?: string;
  signal?: AbortSignal;
  /** Instead of the global `fetch`. */
  fetch?: typeof globalThis.fetch;
  /** How often it comes back in vain before it gives up. */
  tries?: number;
  /** Milliseconds without a sign of life after which a connection is taken for dead. */
  silence?: number;
}

/** The event after which nothing more comes. */
export const END = "end";
/** The token's time is over; with another one it goes on. */
const SIGN_IN_AGAIN = "sign_in_again";
const SILENCE_MS = 45_000;

/**
 * The events of `GET /v1/jobs/{job_id}/events` or `GET /v1/events`, by `fetch`: `EventSource` can
 * send no bearer token. A connection that breaks is taken up where it was, until the server says
 * `end` or the signal aborts (then it returns). Throws a ProblemError for what will not get better.
 */
export async function* events(
  url: string,
  options: EventOptions,
): AsyncGenerator<ServerEvent, void, undefined> {
  const tries = options.tries ?? 8;
  const place = { id: options.lastEventId ?? "", retry: undefined as number | undefined };
  let token = await options.token();
  let refused = false;
  let attempt = 0;
  while (!options.signal?.aborted) {
    let told: number | undefined;
    try {
      const response = await connected(url, token, place.id, options);
      if (response.status === 204) return; // all was told before
      if (!response.ok || response.body === null) throw await problemOf(response);
      for await (const event of read(response.body, place, options)) {
        refused = event.name === SIGN_IN_AGAIN;
        attempt = 0;
        if (refused) break;
        yield event;
        if (event.name === END) return;
      }
      if (refused) {
        token = await options.token(token);
        continue;
      }
    } catch (error) {
      if (options.signal?.aborted) return;
      const problem = isProblem(error) ? error : undefined;
      if (problem?.status === 401 && !refused) {
        refused = true;
        token = await options.token(token);
        continue;
      }
      if (problem !== undefined && !problem.retryable) throw error;
      told = problem?.retryAfter;
      if (attempt >= tries) throw error;
    }
    attempt += 1;
    try {
      await pause(attempt, told ?? place.retry, options.signal);
    } catch {
      return; // aborted while it waited
    }
  }
}

function isProblem(error: unknown): error is ProblemError {
  return error instanceof Error && error.name === "ProblemError";
}

async function connected(
  url: string,
  token: string,
  lastEventId: string,
  options: EventOptions,
): Promise<Response> {
  const headers = new Headers({
    Accept: "text/event-stream",
    Authorization: `Bearer ${token}`,
  });
  if (lastEventId !== "") headers.set("Last-Event-ID", lastEventId);
  return await (options.fetch ?? globalThis.fetch)(url, {
    headers,
    cache: "no-store",
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
}

async function* read(
  body: ReadableStream<Uint8Array>,
  place: { id: string; retry: number | undefined },
  options: EventOptions,
): AsyncGenerator<ServerEvent, void, undefined> {
  const parser = new EventParser(place.id);
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await alive(reader.read(), options.silence ?? SILENCE_MS);
      if (done) return;
      for (const event of parser.push(value)) {
        place.id = event.id;
        yield event;
      }
      place.retry = parser.retry ?? place.retry;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

async function alive<T>(read: Promise<T>, silence: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silent = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("No sign of life from the server.")), silence);
  });
  try {
    return await Promise.race([read, silent]);
  } finally {
    clearTimeout(timer);
  }
}

/** Bytes in, events out, by the rules of WHATWG HTML (9.2.5 and 9.2.6). */
export class EventParser {
  /** Seconds that the server asked to wait before coming back. */
  retry: number | undefined;
  private readonly decoder = new TextDecoder();
  private rest = "";
  private name = "";
  private data: string[] = [];

  constructor(private id = "") {}

  /** The events that these bytes complete. */
  *push(bytes: Uint8Array): Generator<ServerEvent, void, undefined> {
    this.rest += this.decoder.decode(bytes, { stream: true });
    for (;;) {
      const end = this.rest.search(/[\r\n]/);
      // A CR at the very end may be half of a CRLF.
      if (end < 0 || (this.rest[end] === "\r" && end + 1 === this.rest.length)) return;
      const line = this.rest.slice(0, end);
      this.rest = this.rest.slice(end + (this.rest.startsWith("\r\n", end) ? 2 : 1));
      const event = this.line(line);
      if (event !== undefined) yield event;
    }
  }

  private line(line: string): ServerEvent | undefined {
    if (line === "") return this.dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.name = value;
    else if (field === "data") this.data.push(value);
    else if (field === "id" && !value.includes("\0")) this.id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retry = Number(value) / 1000;
    return undefined;
  }

  private dispatch(): ServerEvent | undefined {
    const { name, data } = this;
    this.name = "";
    this.data = [];
    if (data.length === 0) return undefined;
    return { name: name === "" ? "message" : name, data: data.join("\n"), id: this.id };
  }
}
