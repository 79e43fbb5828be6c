import { defineConfig } from 'vite';

export default defineConfig({
  base: '/',
  build: {
    outDir: 'static',
    emptyOutDir: true,
    target: 'es2022',
    // Nothing becomes a data: URL, so that the server may send a strict Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The default name lies in a dot folder, which package data leaves out.
    license: { fileName: 'licenses.md' },
    rolldownOptions: { input: ['index.html', 'attend.html', 'booth.html', 'speak.html'] },
  },
});
