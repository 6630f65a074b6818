export * from "./libheif-wasm.js";
export { default } from "./libheif-wasm.js";
