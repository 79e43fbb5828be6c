// Forwards one published Opus track to every listener, by Pion: POST /publish, POST /listen, offer in, answer out.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v3"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	host := net.ParseIP(os.Args[1])
	media, settings, interceptors := &webrtc.MediaEngine{}, webrtc.SettingEngine{}, &interceptor.Registry{}
	check(media.RegisterDefaultCodecs())
	check(webrtc.RegisterDefaultInterceptors(media, interceptors)) // reports, NACK
	settings.SetLite(true)                                         // as every server here
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	settings.SetIPFilter(host.Equal)
	api := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithSettingEngine(settings), webrtc.WithInterceptorRegistry(interceptors))
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "audio", "floor")
	check(err)
	answer := func(prepare func(*webrtc.PeerConnection) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			offer, _ := io.ReadAll(r.Body)
			pc, err := api.NewPeerConnection(webrtc.Configuration{})
			check(err)
			check(prepare(pc))
			check(pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: string(offer)}))
			local, err := pc.CreateAnswer(nil)
			check(err)
			gathered := webrtc.GatheringCompletePromise(pc)
			check(pc.SetLocalDescription(local))
			<-gathered
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, pc.LocalDescription().SDP)
		}
	}
	http.Handle("/publish", answer(func(pc *webrtc.PeerConnection) error {
		pc.OnTrack(func(in *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
			for {
				packet, _, err := in.ReadRTP()
				if err != nil {
					return
				}
				track.WriteRTP(packet)
			}
		})
		return nil
	}))
	http.Handle("/listen", answer(func(pc *webrtc.PeerConnection) error {
		sender, err := pc.AddTrack(track)
		go func() { // interceptors see reports only when somebody reads them
			for buffer := make([]byte, 1500); err == nil; _, _, err = sender.Read(buffer) {
			}
		}()
		return err
	}))
	listener, err := net.Listen("tcp", net.JoinHostPort(os.Args[1], "0"))
	check(err)
	fmt.Printf("ready: http://%s\n", listener.Addr())
	check(http.Serve(listener, nil))
}
