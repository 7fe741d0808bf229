import { problemOf, wait, type ProblemError } from "./problem.js";

/**
 * Gives the access token or API key to send. `refused` is the one that was refused just now: then
 * another is wanted, from `POST /v1/auth/refresh` for example. Give it again to give up.
 */
export type TokenSource = (refused?: string) => string | Promise<string>;

export interface SendingOptions {
  token?: TokenSource;
  /** Instead of the global `fetch`. */
  fetch?: typeof globalThis.fetch;
  /** How often a request is sent in all, where trying again may help. */
  tries?: number;
}

const AGAIN = new Set([429, 502, 503, 504]);
const LONGEST_MS = 10_000;

/**
 * A `fetch` that sends the token, fetches another when it is refused, tries again what may be tried
 * again, and gives each POST an `Idempotency-Key`, so that it acts once however often it is sent.
 */
export function sending(options: SendingOptions): (request: Request) => Promise<Response> {
  const tries = options.tries ?? 5;
  const fetch = options.fetch ?? globalThis.fetch;
  let token: string | undefined;

  async function signed(request: Request, refused?: string): Promise<Request> {
    if (options.token === undefined) return request;
    if (token === undefined || refused !== undefined) token = await options.token(refused);
    request.headers.set("Authorization", `Bearer ${token}`);
    return request;
  }

  return async (request) => {
    if (request.method === "POST" && !request.headers.has("Idempotency-Key")) {
      request.headers.set("Idempotency-Key", crypto.randomUUID());
    }
    let asked = false;
    for (let attempt = 1; ; attempt++) {
      await signed(request);
      const last = attempt >= tries;
      try {
        const response = await fetch(request.clone());
        if (response.status === 401 && options.token !== undefined && !asked) {
          asked = true;
          const before = token;
          await signed(request, before);
          if (token !== before) continue;
        }
        if (last || !(await mayRetry(response))) return response;
        await pause(attempt, wait(response), request.signal);
      } catch (error) {
        if (last || request.signal.aborted) throw error;
        await pause(attempt, undefined, request.signal);
      }
    }
  };
}

async function mayRetry(response: Response): Promise<boolean> {
  if (!AGAIN.has(response.status) && response.status !== 409) return false;
  const { code } = await problemOf(response.clone());
  // What operators hold shut opens in their own time; people should read why.
  return code === "conflict" || code === "idempotency_key_in_use"
    ? true
    : AGAIN.has(response.status) && code !== "paused";
}

/** Waits as long as told (seconds), else longer after each attempt, with jitter. */
export async function pause(
  attempt: number,
  told: number | undefined,
  signal?: AbortSignal | null,
): Promise<void> {
  const jittered = (0.5 + Math.random() / 2) * 200 * 2 ** attempt;
  const ms = Math.min(told === undefined ? jittered : told * 1000, LONGEST_MS);
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      signal?.removeEventListener("abort", aborted);
      resolve();
    }
    function aborted(): void {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    }
    if (signal?.aborted) aborted();
    else signal?.addEventListener("abort", aborted, { once: true });
  });
}

export type { ProblemError };
