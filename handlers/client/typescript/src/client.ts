import createFetchClient, { type Client } from "openapi-fetch";
import { problemOf } from "./problem.js";
import type { paths } from "./schema.js";
import { sending, type SendingOptions } from "./sending.js";

export type Api = Client<paths>;

export interface ApiOptions extends SendingOptions {
  baseUrl: string;
}

/** Every operation of the API, typed: `api.GET("/v1/jobs/{job_id}", { params: ... })`. */
export function createApi(options: ApiOptions): Api {
  return createFetchClient<paths>({ baseUrl: options.baseUrl, fetch: sending(options) });
}

/**
 * The body of an answer, or its problem as an error:
 * `const job = await answerOf(api.GET("/v1/jobs/{job_id}", ...))`.
 */
export async function answerOf<T>(
  answer: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await answer;
  if (!response.ok) {
    // openapi-fetch has read the body already.
    throw await problemOf(new Response(JSON.stringify(error ?? {}), response));
  }
  return data as T;
}
