/**
 * The wire protocol of docs/protocol.md, version 1, as the browser sees it.
 *
 * Written by hand; a generator from the server's messages is to replace it. `decode` is total: any text
 * gives a message that has the shape its type says, or null.
 */

export const VERSION = 1;
/** The pseudo-channel of the original. */
export const FLOOR = 'floor';

/** The original under an interpreter, in dB below its own level; `off`: the interpreter alone. */
export const ORIGINAL_LEVELS = ['off', -24, -18, -12, 0] as const;
export type OriginalDb = (typeof ORIGINAL_LEVELS)[number];
export const NORMAL_DB: OriginalDb = -18;

export type Language = { tag: string; autonym: string };
export type Speaker = { participant: string; name: string; language: string; speaking_s: number };
export type Floor = { language: Language; speakers: Speaker[]; listeners: number };
export type OnAir = { participant: string; name: string; on_air_s: number };
export type ChannelState = 'spoken' | 'interpreted' | 'passthrough';
export type Channel = {
  id: string;
  language: Language;
  state: ChannelState;
  on_air: OnAir[];
  listeners: number;
};
export type Seat = { number: number; participant: string; name: string; state: 'active' | 'standby' };
export type Booth = { id: string; channel: string; desks: Seat[] };
/** Who is seen in each of the two picture slots. */
export type Shown = { participant: string; name: string };
export type What = 'camera' | 'screen';
export type Stage = Record<What, Shown | null>;
export type IceServer = { urls: string[]; username: string; credential: string };
/** How large a picture is on the page, in device pixels. */
export type Tile = { what: What; width: number; height: number; visible: boolean };
export type Meeting = {
  id: string;
  title: string;
  revision: number;
  floor: Floor;
  channels: Channel[];
  booths: Booth[];
  stage: Stage;
};
export type ChannelLevels = { interpreter_db: number | null; original_db: number | null };
export type MediaState = 'connecting' | 'connected' | 'stalled' | 'lost';

export type Welcome = {
  type: 'welcome';
  re: number | null;
  version: number;
  participant: string;
  name: string;
  role: string;
  languages: string[];
  meeting: Meeting;
  ice_servers: IceServer[];
  /** The session of before goes on, with its media in this state and this channel in the slot. */
  resumed: boolean;
  media: MediaState | null;
  listen: string | null;
  original_db: OriginalDb;
};
export type WireError = {
  type: 'error';
  re: number | null;
  code: string;
  message: string;
  holder: string | null;
};
export type Levels = {
  type: 'levels';
  floor_db: number | null;
  channels: Record<string, ChannelLevels>;
};
/** Ids of participants: who of the floor speaks now, and who did so last in earnest. */
export type Speaking = { participants: string[]; dominant: string | null };
export type ServerMessage =
  | Welcome
  | WireError
  | Levels
  | ({ type: 'speaking' } & Speaking)
  | { type: 'answer'; re: number | null; sdp: string; listen: string | null; original_db: OriginalDb }
  | { type: 'listening'; re: number | null; channel: string; original_db: OriginalDb }
  | { type: 'done'; re: number | null }
  | { type: 'meeting'; meeting: Meeting }
  | { type: 'media'; state: MediaState }
  | { type: 'goodbye'; code: string; message: string };

export type ClientMessage =
  | { type: 'hello'; version: number; token: string; instance?: string }
  | { type: 'offer'; sdp: string; listen: string | null; original_db: OriginalDb }
  | { type: 'listen'; channel: string; original_db: OriginalDb }
  | { type: 'take_floor'; language: string }
  | { type: 'release_floor' }
  | { type: 'join_booth'; booth: string }
  | { type: 'leave_booth' }
  | { type: 'take_channel' }
  | { type: 'release_channel' }
  | { type: 'show'; what: What; on: boolean }
  | { type: 'view'; slots: Tile[] }
  | { type: 'bye' };

/** Thrown by the readers below and caught by `decode`: the text is not what the page says. */
class Malformed extends Error {}

type Fields = Record<string, unknown>;
type Reader<T> = (value: unknown) => T;

function fail(what: string): never {
  throw new Malformed(what);
}
const text: Reader<string> = (v) => (typeof v === 'string' ? v : fail('text'));
const number: Reader<number> = (v) => (typeof v === 'number' && Number.isFinite(v) ? v : fail('number'));
const flag: Reader<boolean> = (v) => (typeof v === 'boolean' ? v : fail('flag'));
const fields: Reader<Fields> = (v) =>
  typeof v === 'object' && v !== null && !Array.isArray(v) ? (v as Fields) : fail('object');
/** Null also where the field is left out. */
const maybe =
  <T>(read: Reader<T>): Reader<T | null> =>
  (v) =>
    v === null || v === undefined ? null : read(v);
const list =
  <T>(read: Reader<T>): Reader<T[]> =>
  (v) =>
    Array.isArray(v) ? v.map((item) => read(item)) : fail('list');
const oneOf =
  <T extends string>(...allowed: readonly T[]): Reader<T> =>
  (v) =>
    allowed.find((a) => a === v) ?? fail('word');

/** Left out where it is the usual one. */
const originalDb: Reader<OriginalDb> = (v) =>
  v === undefined ? NORMAL_DB : (ORIGINAL_LEVELS.find((level) => level === v) ?? fail('level'));

const language: Reader<Language> = (v) => {
  const f = fields(v);
  return { tag: text(f.tag), autonym: text(f.autonym) };
};
const speaker: Reader<Speaker> = (v) => {
  const f = fields(v);
  return {
    participant: text(f.participant),
    name: text(f.name),
    language: text(f.language),
    speaking_s: number(f.speaking_s),
  };
};
const floor: Reader<Floor> = (v) => {
  const f = fields(v);
  return {
    language: language(f.language),
    speakers: list(speaker)(f.speakers),
    listeners: number(f.listeners),
  };
};
const onAir: Reader<OnAir> = (v) => {
  const f = fields(v);
  return { participant: text(f.participant), name: text(f.name), on_air_s: number(f.on_air_s) };
};
const channel: Reader<Channel> = (v) => {
  const f = fields(v);
  return {
    id: text(f.id),
    language: language(f.language),
    state: oneOf('spoken', 'interpreted', 'passthrough')(f.state),
    on_air: list(onAir)(f.on_air),
    listeners: number(f.listeners),
  };
};
const seat: Reader<Seat> = (v) => {
  const f = fields(v);
  return {
    number: number(f.number),
    participant: text(f.participant),
    name: text(f.name),
    state: oneOf('active', 'standby')(f.state),
  };
};
const booth: Reader<Booth> = (v) => {
  const f = fields(v);
  return { id: text(f.id), channel: text(f.channel), desks: list(seat)(f.desks) };
};
const shown: Reader<Shown> = (v) => {
  const f = fields(v);
  return { participant: text(f.participant), name: text(f.name) };
};
const stage: Reader<Stage> = (v) => {
  const f = fields(v);
  return { camera: maybe(shown)(f.camera), screen: maybe(shown)(f.screen) };
};
const iceServer: Reader<IceServer> = (v) => {
  const f = fields(v);
  return { urls: list(text)(f.urls), username: text(f.username), credential: text(f.credential) };
};
const meeting: Reader<Meeting> = (v) => {
  const f = fields(v);
  return {
    id: text(f.id),
    title: text(f.title),
    revision: number(f.revision),
    floor: floor(f.floor),
    channels: list(channel)(f.channels),
    booths: list(booth)(f.booths),
    stage: maybe(stage)(f.stage) ?? { camera: null, screen: null },
  };
};
const levels: Reader<Levels> = (v) => {
  const f = fields(v);
  const channels: Record<string, ChannelLevels> = {};
  for (const [id, raw] of Object.entries(fields(f.channels))) {
    const c = fields(raw);
    channels[id] = {
      interpreter_db: maybe(number)(c.interpreter_db),
      original_db: maybe(number)(c.original_db),
    };
  }
  return { type: 'levels', floor_db: maybe(number)(f.floor_db), channels };
};

const mediaState = oneOf<MediaState>('connecting', 'connected', 'stalled', 'lost');

const READERS: Record<ServerMessage['type'], (f: Fields) => ServerMessage> = {
  welcome: (f) => ({
    type: 'welcome',
    re: maybe(number)(f.re),
    version: number(f.version),
    participant: text(f.participant),
    name: maybe(text)(f.name) ?? '',
    role: text(f.role),
    languages: list(text)(f.languages),
    meeting: meeting(f.meeting),
    ice_servers: maybe(list(iceServer))(f.ice_servers) ?? [],
    resumed: maybe(flag)(f.resumed) ?? false,
    media: maybe(mediaState)(f.media),
    listen: maybe(text)(f.listen),
    original_db: originalDb(f.original_db),
  }),
  answer: (f) => ({
    type: 'answer',
    re: maybe(number)(f.re),
    sdp: text(f.sdp),
    listen: maybe(text)(f.listen),
    original_db: originalDb(f.original_db),
  }),
  listening: (f) => ({
    type: 'listening',
    re: maybe(number)(f.re),
    channel: text(f.channel),
    original_db: originalDb(f.original_db),
  }),
  done: (f) => ({ type: 'done', re: maybe(number)(f.re) }),
  error: (f) => ({
    type: 'error',
    re: maybe(number)(f.re),
    code: text(f.code),
    message: text(f.message),
    holder: maybe(text)(f.holder),
  }),
  meeting: (f) => ({ type: 'meeting', meeting: meeting(f.meeting) }),
  levels,
  speaking: (f) => ({
    type: 'speaking',
    participants: list(text)(f.participants),
    dominant: maybe(text)(f.dominant),
  }),
  media: (f) => ({
    type: 'media',
    state: mediaState(f.state),
  }),
  goodbye: (f) => ({ type: 'goodbye', code: text(f.code), message: text(f.message) }),
};

function parse<T>(raw: string, reader: Reader<T>): T | null {
  try {
    return reader(JSON.parse(raw));
  } catch (error) {
    if (error instanceof Malformed || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** One text frame of the server; null if it is malformed or of an unknown type. */
export function decode(raw: string): ServerMessage | null {
  return parse(raw, (v) => {
    const f = fields(v);
    const type = text(f.type);
    return Object.hasOwn(READERS, type) ? READERS[type as ServerMessage['type']](f) : fail('type');
  });
}

/** The body of `GET /api/meetings/{meeting}`. */
export const decodeMeeting = (raw: string): Meeting | null => parse(raw, meeting);

/** The code in the body of an HTTP error; null for what a proxy says in the server's place. */
export const decodeRefusal = (raw: string): string | null => parse(raw, (v) => text(fields(v).code));

export type DemoLink = { page: string; label: string; url: string };

/** The body of `GET /api/demo`. */
export const decodeDemo = (raw: string): DemoLink[] | null =>
  parse(raw, (v) =>
    list((item) => {
      const f = fields(item);
      return { page: text(f.page), label: text(f.label), url: text(f.url) };
    })(fields(v).links),
  );
