/** The speaker's page. */

import './style/base.css';
import './style/console.css';
import './style/stage.css';
import { VisualSources } from './rtc/visuals.ts';
import { createSpeaker, keep, type Speaker, type SpeakerEffect, type SpeakerEvent, update } from './state/speaker.ts';
import { Shell } from './shell.ts';
import { onMicrophoneKey, Talk } from './talk.ts';
import type { SpeakPage } from './views/speak.ts';
import './views/speak.ts';

const page = document.querySelector<SpeakPage>('kb-speak') as SpeakPage;
const shell = new Shell<Speaker, SpeakerEvent, SpeakerEffect>(page, {
  create: createSpeaker,
  update,
  session: (state) => state.talker.session,
  keep,
  roles: ['speaker', 'operator'],
  sends: 'voice_and_pictures',
  run: (effect) => {
    if (effect.do === 'open_visual') void visuals.open(effect.what, effect.device);
    else if (effect.do === 'close_visual') visuals.close(effect.what);
    else talk.run(effect);
  },
  levels: () => undefined,
  changed: () => {
    const own = { camera: visuals.stream('camera'), screen: visuals.stream('screen') };
    // The same streams are not drawn again.
    if (own.camera !== page.own?.camera || own.screen !== page.own?.screen) page.own = own;
  },
});
// Echo is cancelled, for few speakers wear a headset; noise and gain stay untouched for the interpreters' ears.
const talk = new Talk(page, true, (event) => shell.dispatch(event), (track) => shell.media.send('voice', track));
const visuals = new VisualSources(
  (what, track) => shell.media.send(what, track),
  (event) => shell.dispatch(event),
);
onMicrophoneKey(() => shell.state.talker.session, () => shell.dispatch({ type: 'hold_pressed' }));
shell.restore();
