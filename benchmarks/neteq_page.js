// A page of WebRTC receivers: offers, then statistics four times a second.
window.netEq = {
  ends: [],
  snapshots: [],

  async offers(count) {
    for (let i = 0; i < count; i += 1) {
      const pc = new RTCPeerConnection();
      const end = { pc };
      this.ends.push(end);
      pc.addTransceiver("audio", { direction: "recvonly" });
      pc.ontrack = (event) => {
        end.element = Object.assign(new Audio(), { srcObject: new MediaStream([event.track]) });
        end.element.play();
      };
      await pc.setLocalDescription();
      await new Promise((resolve) => {
        const look = () => pc.iceGatheringState === "complete" && resolve();
        pc.onicegatheringstatechange = look;
        look();
      });
    }
    return this.ends.map(({ pc }) => pc.localDescription.sdp);
  },

  async answer(answers) {
    for (const [i, sdp] of answers.entries()) await this.ends[i].pc.setRemoteDescription({ type: "answer", sdp });
    const take = async () => {
      const inbound = await Promise.all(this.ends.map(({ pc }) => this.inbound(pc)));
      this.snapshots.push({ at: performance.now(), inbound });
      setTimeout(take, 250);
    };
    take();
  },

  async inbound(pc) {
    const report = await pc.getStats();
    const entry = [...report.values()].find((one) => one.type === "inbound-rtp") ?? {};
    return Object.fromEntries(Object.entries(entry).filter(([, value]) => typeof value === "number"));
  },
};
