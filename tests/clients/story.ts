// The story of a shop and a buyer, with the client as a program would import it.

import { Client, type Plan, Problem } from "qist-client";

declare const process: { argv: string[] };

const [, , url = "", run = ""] = process.argv;
const password = "seven green boats";

function check(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(what);
}

async function signedIn(role: "merchant" | "customer"): Promise<Client> {
  const nobody = new Client(url);
  const username = `${role}-${run}`;
  await nobody.accountsCreate({ username, email: `${username}@example.com`, password, password2: password, role });
  return new Client(url, (await nobody.tokensCreate({ username, password })).access);
}

async function codeOf(refused: Promise<unknown>): Promise<string> {
  try {
    await refused;
  } catch (error) {
    if (error instanceof Problem) return error.code;
    throw error;
  }
  return "";
}

const shop = await signedIn("merchant");
const buyer = await signedIn("customer");
const order = {
  customer_email: `customer-${run}@example.com`,
  total_amount: "100.00",
  num_installments: 3,
  start_date: "2199-01-31",
  external_id: run,
};
const plan: Plan = await shop.plansCreate(order, `order-${run}`);
check((await shop.plansCreate(order, `order-${run}`)).id === plan.id, "the same plan");
const [first, second] = plan.installments;
if (first === undefined || second === undefined) throw new Error("three installments");
check(first.amount === "33.34" && second.amount === "33.33", "amounts are text");

check((await codeOf(buyer.installmentsPay(first.id, { payment_method: "card_declined" }))) === "declined", "declined");
const paid = await buyer.installmentsPay(first.id);
check(paid.status === "paid" && paid.payment?.state === "succeeded", "paid");
check((await codeOf(buyer.installmentsPay(first.id))) === "already_paid", "once");
const refund = await shop.refundsCreate(plan.id, { amount: "3.34", reason: "A scratch" });
check(refund.refunded === "3.34", "refunded");
const credited = await shop.planActionsCredit(plan.id, { amount: "1.00", reason: "Late delivery" });
check(credited.remaining === "65.66", "credited");
await shop.remindersMutePlan(plan.id);
await shop.remindersUnmutePlan(plan.id);

const states: string[] = [];
let cursor: string | undefined;
do {
  const page = await shop.paymentsIndex({ limit: 1, cursor, sort: "id" });
  states.push(...page.items.map((payment) => payment.state));
  cursor = page.next;
} while (cursor !== undefined);
check(states.join() === "declined,succeeded", `pages: ${states.join()}`);
const listed = await shop.plansIndex({ external_id: run, status: "active" });
check(listed.items.length === 1 && listed.items[0]?.id === plan.id, "looked up");
check((await shop.eventsIndex({ types: "plan.created" })).next !== undefined, "events");
check((await codeOf(new Client(url).plansIndex())) === "no_token", "no token");
check((await codeOf(shop.plansShow(1_000_000_000))) === "not_found", "not found");
const cancelled = await shop.planActionsCancel(plan.id, { reason: "Returned" });
check(cancelled.remaining === "0.00", "cancelled");
console.log("done");
