/** The attendee's page. */

import './style/base.css';
import './style/attend.css';
import './style/stage.css';
import { type Attendee, type AttendeeEffect, type AttendeeEvent, createAttendee, keep, update } from './state/attendee.ts';
import { nextChannel, originalAt } from './state/hearing.ts';
import { readLevel } from './state/kept.ts';
import { Shell } from './shell.ts';
import { type AttendPage } from './views/attend.ts';
import './views/attend.ts';
import { paintLane, pushWave } from './views/meters.ts';
import { FLOOR, type Levels, type OriginalDb } from './wire.ts';

const page = document.querySelector<AttendPage>('kb-attend') as AttendPage;
let lock: WakeLockSentinel | null = null;

async function keepAwake(on: boolean): Promise<void> {
  try {
    await lock?.release();
    lock = on ? await navigator.wakeLock.request('screen') : null;
  } catch {
    shell.dispatch({ type: 'awake_unavailable' }); // battery saver, or the page is hidden
  }
}

/** The reader's own wish in the browser's settings, where it tells. */
const savesData = (): boolean =>
  (navigator as { connection?: { saveData?: boolean } }).connection?.saveData === true;

const ORIGINAL_KEY = 'kabina-original';

/** How loud this person likes the original, in every meeting. */
function preferredOriginal(): OriginalDb {
  try {
    return readLevel(JSON.parse(localStorage.getItem(ORIGINAL_KEY) ?? 'null'));
  } catch {
    return readLevel(null); // storage is forbidden, or another program wrote there
  }
}

function rememberOriginal(original_db: OriginalDb): void {
  try {
    localStorage.setItem(ORIGINAL_KEY, JSON.stringify(original_db));
  } catch {
    // forbidden or full: it holds for this visit
  }
}

function paint(levels: Levels | null): void {
  const { session } = shell.state;
  const heard = levels?.channels[session.channel ?? FLOOR];
  const floor = levels?.floor_db ?? null;
  pushWave(page, 'floor', floor);
  paintLane(page, 'interpreter', heard?.interpreter_db ?? null);
  paintLane(page, 'original', heard === undefined ? floor : originalAt(heard, session.original_db));
}

const shell = new Shell<Attendee, AttendeeEvent, AttendeeEffect>(page, {
  create: (token) => createAttendee(token, navigator.languages, 'wakeLock' in navigator, savesData(), preferredOriginal()),
  update,
  session: (state) => state.session,
  keep,
  roles: [],
  sends: 'nothing',
  run: (effect) => {
    if (effect.do === 'keep_awake') void keepAwake(effect.on);
    if (effect.do === 'remember_original') rememberOriginal(effect.original_db);
  },
  levels: paint,
  changed: showOnLockScreen,
});

/** The lock screen's title and its "next" button, which is the next language. */
function showOnLockScreen({ session }: Attendee): void {
  if (!('mediaSession' in navigator) || session.meeting === null || session.phase === 'outside') return;
  const heard = session.meeting.channels.find((c) => c.id === session.channel)?.language.autonym;
  const title = heard ?? session.meeting.floor.language.autonym;
  if (navigator.mediaSession.metadata?.title === title) return;
  navigator.mediaSession.metadata = new MediaMetadata({ title, artist: session.meeting.title });
}

if ('mediaSession' in navigator) {
  navigator.mediaSession.setActionHandler('nexttrack', () => {
    const { session } = shell.state;
    if (session.meeting === null) return;
    shell.dispatch({ type: 'channel_chosen', channel: nextChannel(session.meeting, session.channel) });
  });
}

document.addEventListener('visibilitychange', () => {
  // The browser drops the lock of a hidden page.
  if (document.visibilityState === 'visible' && shell.state.awake) void keepAwake(true);
});
shell.restore();
