// The rules of WHATWG HTML 9.2.6, and coming back, against a server of this test's own.
import assert from "node:assert/strict";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, beforeEach, test } from "node:test";
import { EventParser, events, ProblemError, type ServerEvent } from "../src/index.js";

function parse(...chunks: (string | Uint8Array)[]): ServerEvent[] {
  const parser = new EventParser();
  const encoder = new TextEncoder();
  return chunks.flatMap((chunk) => [
    ...parser.push(typeof chunk === "string" ? encoder.encode(chunk) : chunk),
  ]);
}

test("lines end in LF, CR or CRLF, wherever the bytes are cut", () => {
  const text = "event: a\r\ndata: 1\r\n\r\nid: 7\rdata: 2\r\rdata: ä\ndata:  4\n\n";
  const whole = [
    { name: "a", data: "1", id: "" },
    { name: "message", data: "2", id: "7" },
    { name: "message", data: "ä\n 4", id: "7" },
  ];
  const bytes = new TextEncoder().encode(text);
  for (let cut = 0; cut <= bytes.length; cut++) {
    assert.deepEqual(parse(bytes.slice(0, cut), bytes.slice(cut)), whole);
  }
});

test("comments, unknown fields, empty events, NUL ids and a byte order mark count for nothing", () => {
  assert.deepEqual(parse("\uFEFF: ping\n\nevent: x\n\nwhat: 1\ndata\n\nid: a\0b\ndata: 2\n\n"), [
    { name: "message", data: "", id: "" },
    { name: "message", data: "2", id: "" },
  ]);
  assert.deepEqual(parse("data: cut off"), []);
});

test("retry is taken when it is digits", () => {
  const parser = new EventParser();
  const encoder = new TextEncoder();
  assert.deepEqual([...parser.push(encoder.encode("retry: 1500\n\nretry: soon\n\n"))], []);
  assert.equal(parser.retry, 1.5);
});

let server: Server;
let url: string;
let answers: ((response: ServerResponse) => void)[] = [];
let asked: Record<string, string | undefined>[] = [];

before(async () => {
  server = createServer((request, response) => {
    asked.push({
      token: request.headers.authorization,
      last: request.headers["last-event-id"] as string | undefined,
    });
    answers.shift()?.(response);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});

after(() => {
  server.closeAllConnections();
  server.close();
});

beforeEach(() => {
  asked = [];
});

function stream(text: string) {
  return (response: ServerResponse): void => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.end(text);
  };
}

function problem(status: number, code: string, retryable: boolean) {
  return (response: ServerResponse): void => {
    response.writeHead(status, { "Content-Type": "application/problem+json", "Retry-After": "0" });
    response.end(JSON.stringify({ code, detail: code, status, retryable, request_id: "r" }));
  };
}

async function all(from: AsyncIterable<ServerEvent>): Promise<string[]> {
  const found: string[] = [];
  for await (const event of from) found.push(`${event.name} ${event.data}`);
  return found;
}

test("what breaks is taken up after the last id, until the server says end", async () => {
  answers = [
    stream("retry: 1\nid: 1\ndata: a\n\nid: 2\ndata: cut"),
    problem(503, "unavailable", true),
    stream("id: 2\ndata: b\n\nevent: end\ndata: {}\n\n"),
  ];
  assert.deepEqual(await all(events(url, { token: () => "t" })), ["message a", "message b", "end {}"]);
  assert.deepEqual(asked.map((each) => each["last"]), [undefined, "1", "1"]);
});

test("a token that died is fetched anew, once", async () => {
  answers = [problem(401, "unauthenticated", false), stream("event: end\ndata: 1\n\n")];
  const tokens = ["old", "new"];
  await all(events(url, { token: () => tokens.shift() ?? "none" }));
  assert.deepEqual(asked.map((each) => each["token"]), ["Bearer old", "Bearer new"]);
  answers = [problem(401, "unauthenticated", false), problem(401, "unauthenticated", false)];
  await assert.rejects(all(events(url, { token: () => "t" })), ProblemError);
});

test("a token whose time is over in the middle is followed by another", async () => {
  answers = [
    stream("id: 3\ndata: a\n\nevent: sign_in_again\ndata: {}\n\n"),
    (response) => response.writeHead(204).end(),
  ];
  const tokens = ["old", "new"];
  assert.deepEqual(await all(events(url, { token: () => tokens.shift() ?? "none" })), ["message a"]);
  assert.deepEqual(asked, [
    { token: "Bearer old", last: undefined },
    { token: "Bearer new", last: "3" },
  ]);
});

test("what will not get better is an error", async () => {
  answers = [problem(404, "not_found", false)];
  await assert.rejects(all(events(url, { token: () => "t" })), { code: "not_found" });
  assert.equal(asked.length, 1);
});

test("a connection without a sign of life is given up and taken up again", async () => {
  answers = [
    (response) => {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write("retry: 1\nid: 5\ndata: a\n\n");
    },
    stream("event: end\ndata: 1\n\n"),
  ];
  const from = events(url, { token: () => "t", silence: 50 });
  assert.deepEqual(await all(from), ["message a", "end 1"]);
  assert.equal(asked[1]?.["last"], "5");
});

test("an abort ends it without an error", async () => {
  const stop = new AbortController();
  answers = [
    (response) => {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write("data: a\n\n");
    },
  ];
  const found: string[] = [];
  for await (const event of events(url, { token: () => "t", signal: stop.signal })) {
    found.push(event.data);
    stop.abort();
  }
  assert.deepEqual(found, ["a"]);
});
