export * from "./api.js";
export { type Page, Problem } from "./transport.js";
