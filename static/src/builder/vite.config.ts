import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// One script and one style sheet with fixed names: Django's static files give them their hashes.
export default defineConfig({
  base: "./",
  plugins: [react()],
  build: {
    outDir: "../../dist/builder",
    emptyOutDir: true,
    target: "es2022",
    cssCodeSplit: false,
    modulePreload: false,
    sourcemap: false,
    reportCompressedSize: true,
    rollupOptions: {
      input: "main.tsx",
      output: {
        entryFileNames: "builder.js",
        assetFileNames: "builder[extname]",
        codeSplitting: false,
      },
    },
  },
});
