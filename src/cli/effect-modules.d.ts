/** Made by scripts/build.mjs: all modules of `effect` by the names that they are imported by. */
declare module "virtual:effect-modules" {
  const modules: Readonly<Record<string, unknown>>
  export default modules
}
