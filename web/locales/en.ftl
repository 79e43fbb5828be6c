### The words of the pages. One variant per line: inline variants drop the message without an error.

## Frame
skip-to-languages = Skip to languages
skip-to-controls = Skip to the microphone
connection = Connection
link-good = Good
link-connecting = Connecting
link-reconnecting = Reconnecting
link-poor = Poor
link-lost = Lost
ui-language = Language of the buttons
original = Original
interpreter = Interpreter
speaker = Speaker
you = you
listeners = { $count ->
    [one] { $count } listener
   *[other] { $count } listeners
  }

## Floor
now-speaking = Now speaking
nobody-speaks = Nobody is speaking
nobody-speaks-hint = The sound starts by itself when somebody takes the floor.
is-heard = speaking now:
speaks = speaks { $language }
interpretation-now = Interpretation now
on-the-floor = On the floor
floor-empty = The floor is free

## Languages
languages = Languages
state-spoken = Spoken now
state-interpreted = Interpreted
state-passthrough = Original for now
state-original = { $language } now

## What is heard
you-hear = You hear
lamp-interpreted = Interpreter on air
lamp-passthrough = Original for now
lamp-original = Original
lane-interpreter = Interpreter
lane-original = Original
lamp-reconnecting = Reconnecting
lamp-connecting = Connecting
original-under = Original ({ $language }) underneath
original-off = Off
original-quiet = Quiet
original-normal = Normal
original-louder = Louder
original-full = Full
volume = Volume
mute = Mute
tap-to-hear = Tap to hear
tap-why = The browser waits for a tap before it plays sound.
screen-dark = Screen may go dark, sound goes on
screen-awake = Screen stays on
leave = Leave
said-passthrough = No { $language } interpreter at the moment. You hear the original.
said-interpreted = The { $language } interpreter is on air.
said-refused = { $language } cannot be heard now. The language has not changed.
said-level-refused = The original cannot be had at this level now. Nothing has changed.
said-reconnecting = Connection lost. Reconnecting.
said-reconnected = Connected again.

## Join card
listen-in = Listen in
change-later = You can change it later
no-microphone-needed = No microphone needed, nothing to install
listen-to = Listen · { $language }
loading-meeting = Looking for the meeting…
left-title = You have left
left-text = The meeting goes on. You can come back at any time.
left-again = Back to the languages

## Problems
problem-missing = This link is not complete
problem-missing-text = Open the whole link that your organiser sent you, up to its last character.
problem-unreadable = This link cannot be read
problem-unreadable-text = A part of it may have been lost on the way.
problem-expired = This invitation has expired
problem-expired-text = The time that this link was made for is over.
problem-revoked = This invitation is no longer valid
problem-revoked-text = The server does not know this link: it was withdrawn, or a part of it was lost on the way.
problem-forbidden = This invitation does not let you in
problem-forbidden-text = The server knows this link, but not for this meeting.
problem-other-meeting = This link belongs to another meeting
problem-other-meeting-text = Open the whole link that your organiser sent you.
problem-other-role = This link is for another page
problem-other-role-text = You may listen to the meeting with it.
problem-other-role-go = Go to the listener’s page
problem-unknown-meeting = There is no such meeting
problem-unknown-meeting-text = It may have ended.
problem-replaced = You joined from another page
problem-replaced-text = The sound goes on there. Close this page, or join here again.
problem-other = The connection was refused
problem-other-text = Please tell your organiser this code: { $code }
problem-again = Join here again
problem-ask = Ask your organiser for a new link. Open it in this tab or in another.
problem-cut = You are no longer in the meeting: you hear nobody, and nobody hears you.

## Interpreter
booth-of = Booth { $language }
desk-number = Desk { $number }
choose-booth = Your booth
no-booth = This link is for no booth of this meeting. Ask your organiser.
enter-booth = Enter booth
enter-hint-mic = The browser will ask for your microphone. It stays off until you switch it on.
enter-hint-headset = Use a headset: loudspeakers would be heard in your channel.
incoming = Incoming
outgoing = Outgoing
floor-language = Floor
direct = direct
headset = Headset
microphone = Microphone
mic-off = Mic off
mic-off-hint = { $language } hears the original
mic-taking = Asking…
mic-on-air = ON AIR
mic-waiting = Reconnecting
mic-waiting-hint = On air again as soon as the link is back
mic-taken = { $holder } is on air
on-air-for = On air for
level = Level
level-peak = peak
level-clips = { $count ->
    [one] { $count } clip in the last minute
   *[other] { $count } clips in the last minute
  }
last-minute = last 60 s
level-now = now
device = Input
device-default = Default microphone
processing-on = The browser keeps its sound processing on: { $what }. Your voice may sound cut.
processing-echo = echo cancellation
processing-noise = noise suppression
processing-gain = automatic gain
device-denied = The browser may not use the microphone. Allow it in the address bar, then try again.
device-missing = No microphone was found. Plug one in, then try again.
device-busy = The microphone cannot be opened. Another program may be using it.
device-retry = Try again
desks = Booth
desk-active = On air
desk-standby = Standby
channels = Channels
refusal-held = { $holder } is on air in { $language }. You can take over when they release the microphone.
refusal-full = Every desk of this booth is taken.
refusal-other = The server did not give you the channel. Try again.
refusal-floor = The server did not give you the floor. Try again.
clock = Clock

## Speaker
speak-in = You speak
enter-room = Join as a speaker
enter-hint-speaker = Nobody hears you until you take the floor.
take-floor = Take the floor
release-floor = Release the floor
floor-off = You are not heard
floor-off-hint = Press when it is your turn
floor-on = You are heard
floor-on-hint = On the floor in { $language }
hear-in = In your headphones
hear-nothing = Nothing
hear-hint = Only with headphones: loudspeakers would echo.
interpreted-into = Interpreted into

## Landing page
landing-title = Meetings in every language, heard live
landing-text = Kabina brings the interpreter’s voice to everyone who needs it, in the browser, with nothing to install.
landing-demo = Try the demo meeting
landing-open = Open the link your organiser sent
landing-open-text = It leads straight to your meeting; there is no account and no password.
landing-attend = Listen
landing-attend-text = No microphone, no account. Choose a language and press Listen.
landing-booth = Interpret
landing-booth-text = Hear the floor, switch your microphone on, be heard.
landing-speak = Speak
landing-speak-text = Take the floor with your own microphone.

# pictures
stage = Stage
screen-of = Screen of { $name }
camera-of = Camera of { $name }
enlarge = Enlarge, or back
you-show = You show
start-camera = Camera
stop-camera = Stop camera
start-screen = Share screen
stop-screen = Stop sharing
own-camera = You, mirrored
own-screen = Your screen
visual-asking = Asking… Cancel
visual-denied = The browser may not use the camera. Allow it in the address bar, then try again.
visual-missing = No picture source was found. Plug one in, then try again.
visual-busy = The picture cannot be opened. Another program may be using the camera.
visual-server = The server did not take the picture. Try again.
camera-device = Which camera
sound-only = Sound only
view-both = Both
view-speaker = Speaker
view-slides = Slides
