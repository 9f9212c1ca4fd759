// Requests and answers: addresses, JSON, pages, problems, and repeated requests.

import type { Fault } from "./api.js";

const ATTEMPTS = 3;
const LONGEST_WAIT_SECONDS = 10;

/** The rows of a page. `next` leads to the next page, as `cursor`; undefined on the last one. */
export interface Page<T> {
  items: T[];
  next: string | undefined;
}

/** What a request carries beside its path. */
export interface Sent {
  query?: Record<string, string | number | boolean | undefined>;
  body?: object;
  idempotencyKey?: string;
}

/** A refusal (RFC 9457). `code` is stable, `errors` are the faults of what was sent, `facts` all members. */
export class Problem extends Error {
  readonly code: string;
  readonly errors: Fault[];

  constructor(
    readonly status: number,
    readonly facts: { code?: string; detail?: string; errors?: Fault[] },
    readonly requestId: string | null,
  ) {
    super(`${status} ${facts.code ?? ""}: ${facts.detail ?? ""}`);
    this.code = facts.code ?? "";
    this.errors = facts.errors ?? [];
  }
}

/** Sends requests to one installation. `token` is an API key, or the `access` token of `POST /token/`. */
export class Transport {
  private readonly baseUrl: string;

  constructor(
    baseUrl: string,
    private readonly token?: string,
    private readonly timeoutMs = 30_000,
  ) {
    this.baseUrl = baseUrl.replace(/\/+$/, "");
  }

  /** A new idempotency key. */
  newKey(): string {
    return crypto.randomUUID();
  }

  protected segment(value: string | number): string {
    return encodeURIComponent(value);
  }

  protected async one<T>(method: string, path: string, sent: Sent = {}): Promise<T> {
    return (await this.send(method, path, sent)).json();
  }

  protected async none(method: string, path: string, sent: Sent = {}): Promise<void> {
    await (await this.send(method, path, sent)).arrayBuffer();
  }

  protected async page<T>(method: string, path: string, sent: Sent = {}): Promise<Page<T>> {
    const answer = await this.send(method, path, sent);
    const link = /<([^>]*)>;\s*rel="next"/.exec(answer.headers.get("Link") ?? "");
    const next = link?.[1] === undefined ? null : new URL(link[1], this.baseUrl).searchParams.get("cursor");
    return { items: await answer.json(), next: next ?? undefined };
  }

  /** A GET, and a request with a key, is sent up to three times when no answer came, or one that says "try again". */
  private async send(method: string, path: string, sent: Sent): Promise<Response> {
    const address = new URL(this.baseUrl + path);
    for (const [name, value] of Object.entries(sent.query ?? {})) {
      if (value !== undefined) address.searchParams.set(name, String(value));
    }
    const headers: Record<string, string> = { Accept: "application/json" };
    if (this.token !== undefined) headers["Authorization"] = `Bearer ${this.token}`;
    if (sent.idempotencyKey !== undefined) headers["Idempotency-Key"] = sent.idempotencyKey;
    const init: RequestInit = { method, headers, redirect: "error" };
    if (sent.body !== undefined) {
      headers["Content-Type"] = "application/json";
      init.body = JSON.stringify(sent.body);
    }
    const last = method === "GET" || sent.idempotencyKey !== undefined ? ATTEMPTS : 1;
    for (let attempt = 1; ; attempt += 1) {
      let waitSeconds = 1;
      try {
        const answer = await fetch(address, { ...init, signal: AbortSignal.timeout(this.timeoutMs) });
        if (answer.ok) return answer;
        waitSeconds = Number(answer.headers.get("Retry-After") ?? "1");
        const isFinal = answer.status !== 429 && answer.status !== 503;
        if (isFinal || attempt >= last || waitSeconds > LONGEST_WAIT_SECONDS) {
          const facts = await answer.json().catch(() => ({}));
          throw new Problem(answer.status, facts, answer.headers.get("X-Request-Id"));
        }
      } catch (error) {
        if (error instanceof Problem || attempt >= last) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, waitSeconds * 1000));
    }
  }
}
