/**
 * Two channels where there is more than a voice. Browsers offer mono unless Opus' parameters say otherwise, and no
 * API says it, so the offer's text has to: `stereo` for what we like to get, `sprop-stereo` for what we send (RFC 7587).
 */

/** The offer with stereo in what is received, and in the sections whose number is in `sent`. */
export function inStereo(offer: string, sent: readonly number[]): string {
  const [session, ...sections] = offer.split(/(?=^m=)/m);
  const changed = sections.map((section, n) => {
    if (!section.startsWith('m=audio')) return section;
    if (sent.includes(n)) return withParameters(section, 'stereo=1;sprop-stereo=1');
    return section.includes('a=recvonly') ? withParameters(section, 'stereo=1') : section;
  });
  return [session, ...changed].join('');
}

function withParameters(section: string, more: string): string {
  const opus = /^a=rtpmap:(\d+) opus\/48000\/2\r?$/im.exec(section)?.[1];
  if (opus === undefined) return section;
  const fmtp = new RegExp(`^(a=fmtp:${opus} )(.*?)(\\r?)$`, 'm');
  return fmtp.test(section)
    ? section.replace(fmtp, (_, head: string, said: string, end: string) => {
        const kept = said.split(';').filter((one) => !/^\s*(sprop-)?stereo=/.test(one));
        return `${head}${[...kept, more].join(';')}${end}`;
      })
    : section.replace(/^(a=rtpmap:(\d+) opus\/48000\/2)(\r?\n)/im, `$1$3a=fmtp:$2 ${more}$3`);
}
