import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { FluentBundle, FluentResource } from '@fluent/bundle';

const here = new URL('../locales/', import.meta.url);
const tags = readdirSync(here).map((file) => file.replace('.ftl', ''));
const source = (tag: string): string => readFileSync(new URL(`${tag}.ftl`, here), 'utf8');
const ids = (tag: string): string[] =>
  [...source(tag).matchAll(/^([a-z][a-z-]*) =/gm)].map((m) => m[1] ?? '').toSorted();
const bundle = (tag: string): FluentBundle => {
  const made = new FluentBundle(tag, { useIsolating: false });
  assert.deepEqual(made.addResource(new FluentResource(source(tag))), []);
  return made;
};
const placeables = (tag: string): Map<string, string[]> =>
  new Map(
    source(tag)
      .split(/\n(?=[a-z])/)
      .map((entry) => [
        entry.split(' =')[0] ?? '',
        [...new Set([...entry.matchAll(/\$([a-z]+)/g)].map((m) => m[1] ?? ''))].toSorted(),
      ]),
  );

const code = ['src', 'src/views', 'src/state'].flatMap((folder) => {
  const at = new URL(`../${folder}/`, import.meta.url);
  return readdirSync(at)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(new URL(file, at), 'utf8'));
});

test('English, French, Albanian and Russian are there', () => {
  assert.deepEqual(tags.toSorted(), ['en', 'fr', 'ru', 'sq']);
});

for (const tag of tags) {
  test(`${tag} has the same messages and arguments as en, each once`, () => {
    assert.deepEqual(ids(tag), ids('en'));
    assert.equal(new Set(ids(tag)).size, ids(tag).length);
    for (const [id, args] of placeables(tag)) assert.deepEqual(args, placeables('en').get(id), id);
  });

  test(`${tag} parses whole: a message that was dropped would show its id`, () => {
    const made = bundle(tag);
    const args = { language: 'Shqip', count: 2, number: 1, holder: 'X', what: 'Y', code: 'Z', name: 'N' };
    for (const id of ids(tag)) {
      const value = made.getMessage(id)?.value;
      assert.ok(value, id);
      const errors: Error[] = [];
      assert.notEqual(made.formatPattern(value, args, errors).trim(), '', id);
      assert.deepEqual(errors, [], id);
    }
  });
}

test('Russian counts in three forms', () => {
  const made = bundle('ru');
  const value = made.getMessage('listeners')?.value ?? '';
  const said = [1, 2, 5, 21].map((count) => made.formatPattern(value, { count }));
  assert.deepEqual(said, ['1 слушатель', '2 слушателя', '5 слушателей', '21 слушатель']);
});

test('every message the code names exists, and every message is used', () => {
  const all = code.join('\n');
  const known = new Set(ids('en'));
  for (const [, id] of all.matchAll(/\bt\(\s*'([a-z-]+)'/g)) assert.ok(known.has(id ?? ''), id);
  // Ids that are put together: `lamp-${kind}` uses all that begin so.
  const stems = [...all.matchAll(/`([a-z]+-)\$\{/g)].map((m) => m[1] ?? '');
  for (const id of known) {
    const plain = id.replace(/-text$/, '');
    const used = all.includes(`'${id}'`) || all.includes(`'${plain}'`) || stems.some((s) => id.startsWith(s));
    assert.ok(used, `${id} is not used`);
  }
});
