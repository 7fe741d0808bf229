// Against a running API, which the Python test starts: tests/handlers/client/test_typescript.py.
import assert from "node:assert/strict";
import { test } from "node:test";
import { answerOf, createApi, events, ProblemError, upload, abandon } from "../src/index.js";

const baseUrl = process.env["SPLITSOUND_API"] ?? "";
const token = process.env["SPLITSOUND_TOKEN"] ?? "";
const job = process.env["SPLITSOUND_JOB"] ?? "";
const live = { skip: baseUrl === "" ? "no API is named by SPLITSOUND_API" : false };
const MIB = 1024 * 1024;

function song(mebibytes: number): File {
  const bytes = new Uint8Array(mebibytes * MIB).map((_, place) => (place * 7) % 251);
  return new File([bytes], "a song.wav", { type: "audio/wav", lastModified: 1 });
}

function counting(): { puts: string[]; fetch: typeof fetch } {
  const puts: string[] = [];
  const counted: typeof fetch = async (url, init) => {
    const response = await fetch(url, init);
    puts.push(new URL(String(url)).searchParams.get("partNumber") ?? "?");
    return response;
  };
  return { puts, fetch: counted };
}

test("answers are typed, and problems are errors", live, async () => {
  const api = createApi({ baseUrl, token: () => token });
  const account = await answerOf(api.GET("/v1/credits"));
  assert.equal(account.available + account.reserved + account.captured, account.granted);
  const missing = { params: { path: { job_id: "job_0" } } };
  await assert.rejects(answerOf(api.GET("/v1/jobs/{job_id}", missing)), (error) => {
    assert.ok(error instanceof ProblemError);
    assert.deepEqual([error.status, error.code, error.retryable], [404, "not_found", false]);
    assert.match(error.requestId, /^req_/);
    return true;
  });
});

test("a token that is refused is fetched anew, once", live, async () => {
  const refused: (string | undefined)[] = [];
  const api = createApi({
    baseUrl,
    token: (bad) => {
      refused.push(bad);
      return bad === undefined ? "eyJ.no.token" : token;
    },
  });
  assert.ok((await answerOf(api.GET("/v1/credits"))).granted > 0);
  assert.deepEqual(refused, [undefined, "eyJ.no.token"]);
  const hopeless = createApi({ baseUrl, token: () => "eyJ.no.token" });
  await assert.rejects(answerOf(hopeless.GET("/v1/credits")), { status: 401 });
});

test("a POST that is sent again acts once", live, async () => {
  let cut = 1;
  const flaky: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    if (cut-- > 0) throw new TypeError("the connection was cut after the server had acted");
    return response;
  };
  const api = createApi({ baseUrl, token: () => token, fetch: flaky });
  const body = { filename: `once ${Date.now()}.wav`, size: 10 };
  const made = await answerOf(api.POST("/v1/uploads", { body }));
  const page = await answerOf(api.GET("/v1/library", { params: { query: { limit: 100 } } }));
  const same = page.items.filter((each) => each.filename === body.filename);
  assert.deepEqual(same.map((each) => each.asset_id), same.length ? [made.asset_id] : []);
  await abandon(api, made.asset_id);
});

test("an upload that was interrupted goes on where it was", live, async () => {
  const api = createApi({ baseUrl, token: () => token });
  const file = song(18); // three parts
  const stop = new AbortController();
  const first = counting();
  const interrupted = upload(api, file, {
    parallel: 1,
    signal: stop.signal,
    fetch: first.fetch,
    onProgress: (arrived) => {
      if (arrived > 0) stop.abort();
    },
  });
  await assert.rejects(interrupted, { name: "AbortError" });
  assert.deepEqual(first.puts, ["1"]);

  // As after a reload: nothing is known but the file.
  const second = counting();
  const seen: number[] = [];
  const options = { fetch: second.fetch, onProgress: (n: number) => void seen.push(n) };
  const done = await upload(api, song(18), options);
  assert.deepEqual([...second.puts].sort(), ["2", "3"]);
  assert.equal(done.status, "uploaded");
  assert.equal(seen[0], 8 * MIB);
  assert.equal(seen.at(-1), file.size);

  // What is there is not sent again.
  const third = counting();
  const again = await upload(api, song(18), { fetch: third.fetch });
  assert.deepEqual([again.asset_id, third.puts], [done.asset_id, []]);
});

test("parts are sent again when storage is in trouble or a URL has expired", live, async () => {
  const api = createApi({ baseUrl, token: () => token });
  const trouble = new Map([
    ["1", [new Response("", { status: 503 })]],
    ["2", [new Response("", { status: 403 })]],
  ]);
  const troubled: typeof fetch = async (url, init) => {
    const number = new URL(String(url)).searchParams.get("partNumber") ?? "";
    return trouble.get(number)?.shift() ?? (await fetch(url, init));
  };
  const done = await upload(api, song(17), { fetch: troubled, fingerprint: `t${Date.now()}` });
  assert.equal(done.status, "uploaded");
});

test("storage that refuses every URL ends it", live, async () => {
  const api = createApi({ baseUrl, token: () => token });
  const refusing = async (): Promise<Response> => new Response("", { status: 403 });
  const refused = upload(api, song(1), { fetch: refusing, fingerprint: `r${Date.now()}` });
  await assert.rejects(refused, { name: "UploadError" });
});

test("a job's events come to their end", { skip: job === "" && "no job" }, async () => {
  const found: { name: string; id: string; data: string }[] = [];
  const from = events(`${baseUrl}/v1/jobs/${job}/events`, { token: () => token });
  for await (const event of from) found.push(event);
  assert.equal(found.at(-1)?.name, "end");
  const told = found.filter((each) => each.name === "job");
  assert.ok(told.length > 0);
  assert.equal((JSON.parse(told.at(-1)?.data ?? "{}") as { status: string }).status, "completed");
  // Whoever has that already need not come back.
  const rest: string[] = [];
  const lastEventId = told.at(-1)?.id ?? "";
  const resumed = events(`${baseUrl}/v1/jobs/${job}/events`, { token: () => token, lastEventId });
  for await (const event of resumed) rest.push(event.name);
  assert.deepEqual(rest, []);
});
