import type { components } from "./schema.js";

/** What the API refuses: an RFC 9457 problem document, as an error. */
export type ProblemDocument = components["schemas"]["Problem"];

/** `code` and `type` are stable; `message` is the document's detail, for people. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";

  constructor(
    /** The document, with the members that belong to its code. */
    readonly document: Readonly<ProblemDocument & Record<string, unknown>>,
    readonly status: number,
    /** Seconds until it is worth trying again, where the API says so. */
    readonly retryAfter: number | undefined,
  ) {
    super(document.detail);
  }

  get code(): string {
    return this.document.code;
  }

  /** Whether the same request may succeed later. */
  get retryable(): boolean {
    return this.document.retryable;
  }

  get requestId(): string {
    return this.document.request_id;
  }

  /** What is wrong with the request, by JSON pointer or by the name of a parameter or header. */
  get errors(): NonNullable<ProblemDocument["errors"]> {
    return this.document.errors ?? [];
  }
}

/** The problem in an answer, or one that says what came instead. Reads the body. */
export async function problemOf(response: Response): Promise<ProblemError> {
  const text = await response.text().catch(() => "");
  return new ProblemError(parsed(text) ?? unknown(response), response.status, wait(response));
}

/** `Retry-After` in seconds; the API never says a date. */
export function wait(response: Response): number | undefined {
  const told = response.headers.get("Retry-After") ?? "";
  return /^\d+$/.test(told) ? Number(told) : undefined;
}

function parsed(text: string): (ProblemDocument & Record<string, unknown>) | undefined {
  try {
    const document = JSON.parse(text) as ProblemDocument & Record<string, unknown>;
    return typeof document.code === "string" && typeof document.detail === "string"
      ? document
      : undefined;
  } catch {
    return undefined;
  }
}

function unknown(response: Response): ProblemDocument & Record<string, unknown> {
  return {
    type: "about:blank",
    title: response.statusText,
    status: response.status,
    detail: `The API answered ${response.status} without saying why.`,
    code: "http_error",
    request_id: response.headers.get("X-Request-Id") ?? "",
    instance: "",
    retryable: response.status === 429 || response.status >= 502,
  };
}
