import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inStereo } from '../src/rtc/stereo.ts';

const audio = (direction: string, fmtp = 'a=fmtp:111 minptime=10;useinbandfec=1\r\n'): string =>
  `m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\na=${direction}\r\na=rtpmap:111 opus/48000/2\r\n${fmtp}a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n`;
const video = 'm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=recvonly\r\na=rtpmap:96 VP8/90000\r\n';
const session = 'v=0\r\ns=-\r\n';

test('what is received and what is named is in stereo, the microphone is not', () => {
  const offer = session + audio('recvonly') + video + audio('sendonly') + audio('sendonly');
  const [, heard, seen, voice, sound] = inStereo(offer, [3]).split(/(?=^m=)/m);
  assert.match(heard ?? '', /a=fmtp:111 minptime=10;useinbandfec=1;stereo=1\r\n/);
  assert.equal(seen, video);
  assert.equal(voice, audio('sendonly'));
  assert.match(sound ?? '', /a=fmtp:111 minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1\r\n/);
  assert.equal((sound ?? '').match(/a=fmtp:63 111\/111\r\n/g)?.length, 1);
});

test('what a browser says of itself is said once', () => {
  const firefox = audio('recvonly', 'a=fmtp:111 maxplaybackrate=48000;stereo=1;useinbandfec=1\r\n');
  assert.match(inStereo(session + firefox, []), /a=fmtp:111 maxplaybackrate=48000;useinbandfec=1;stereo=1\r\n/);
});

test('without parameters they are added, without Opus nothing is', () => {
  assert.match(inStereo(session + audio('recvonly', ''), []), /opus\/48000\/2\r\na=fmtp:111 stereo=1\r\n/);
  const other = 'm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=recvonly\r\na=rtpmap:0 PCMU/8000\r\n';
  assert.equal(inStereo(session + other, []), session + other);
});
