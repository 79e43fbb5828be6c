### The words of the pages. One variant per line: inline variants drop the message without an error.

## Frame
skip-to-languages = Kalo te gjuhët
skip-to-controls = Kalo te mikrofoni
connection = Lidhja
link-good = E mirë
link-connecting = Po lidhet
link-reconnecting = Po rilidhet
link-poor = E dobët
link-lost = E humbur
ui-language = Gjuha e butonave
original = Origjinali
interpreter = Përkthyesi
speaker = Folësi
you = ju
listeners = { $count ->
    [one] { $count } dëgjues
   *[other] { $count } dëgjues
  }

## Floor
now-speaking = Tani flet
nobody-speaks = Askush nuk po flet
nobody-speaks-hint = Zëri nis vetë sapo dikush të marrë fjalën.
is-heard = po flet tani:
speaks = flet { $language }
interpretation-now = Përkthimi tani
on-the-floor = Në sallë
floor-empty = Fjala është e lirë

## Languages
languages = Gjuhët
state-spoken = Flitet tani
state-interpreted = Përkthehet
state-passthrough = Tani origjinali
state-original = Tani { $language }

## What is heard
you-hear = Ju dëgjoni
lamp-interpreted = Përkthyesi në transmetim
lamp-passthrough = Tani origjinali
lamp-original = Origjinali
lane-interpreter = Përkthyesi
lane-original = Origjinali
lamp-reconnecting = Po rilidhet
lamp-connecting = Po lidhet
original-under = Origjinali ({ $language }) poshtë
original-off = Pa zë
original-quiet = Ulët
original-normal = Normal
original-louder = Lart
original-full = Plot
volume = Volumi
mute = Hiq zërin
tap-to-hear = Prek për të dëgjuar
tap-why = Shfletuesi pret një prekje para se të luajë zërin.
screen-dark = Ekrani mund të fiket, zëri vazhdon
screen-awake = Ekrani mbetet ndezur
leave = Dil
said-passthrough = Për momentin nuk ka përkthyes për { $language }. Ju dëgjoni origjinalin.
said-interpreted = Përkthyesi për { $language } është në transmetim.
said-refused = { $language } nuk mund të dëgjohet tani. Gjuha nuk ndryshoi.
said-level-refused = Origjinali nuk mund të dëgjohet tani në këtë nivel. Asgjë nuk ndryshoi.
said-reconnecting = Lidhja u ndërpre. Po rilidhet.
said-reconnected = Lidhja u rivendos.

## Join card
listen-in = Dëgjo në
change-later = Mund ta ndryshoni më vonë
no-microphone-needed = Pa mikrofon, pa instalim
listen-to = Dëgjo · { $language }
loading-meeting = Po kërkohet takimi…
left-title = Ju dolët
left-text = Takimi vazhdon. Mund të ktheheni në çdo kohë.
left-again = Kthehu te gjuhët

## Problems
problem-missing = Kjo lidhje nuk është e plotë
problem-missing-text = Hapni lidhjen e plotë që ju dërgoi organizatori, deri në shkronjën e fundit.
problem-unreadable = Kjo lidhje nuk lexohet
problem-unreadable-text = Një pjesë mund të ketë humbur rrugës.
problem-expired = Kjo ftesë ka skaduar
problem-expired-text = Koha për të cilën u krijua kjo lidhje ka mbaruar.
problem-revoked = Kjo ftesë nuk është më e vlefshme
problem-revoked-text = Serveri nuk e njeh këtë lidhje: është tërhequr, ose një pjesë e saj ka humbur rrugës.
problem-forbidden = Kjo ftesë nuk ju lejon të hyni
problem-forbidden-text = Serveri e njeh këtë lidhje, por ajo nuk hap këtë takim.
problem-other-meeting = Kjo lidhje është e një takimi tjetër
problem-other-meeting-text = Hapni lidhjen e plotë që ju dërgoi organizatori.
problem-other-role = Kjo lidhje është për një faqe tjetër
problem-other-role-text = Me të mund ta dëgjoni takimin.
problem-other-role-go = Shko te faqja e dëgjuesit
problem-unknown-meeting = Ky takim nuk ekziston
problem-unknown-meeting-text = Mund të ketë mbaruar.
problem-replaced = Ju u lidhët nga një faqe tjetër
problem-replaced-text = Zëri vazhdon atje. Mbylleni këtë faqe ose lidhuni përsëri këtu.
problem-other = Lidhja u refuzua
problem-other-text = Jepini organizatorit këtë kod: { $code }
problem-again = Lidhu përsëri këtu
problem-ask = Kërkojini organizatorit një lidhje të re. Hapeni në këtë skedë ose në një tjetër.
problem-cut = Nuk jeni më në takim: nuk dëgjoni askënd dhe askush nuk ju dëgjon.

## Interpreter
booth-of = Kabina { $language }
desk-number = Vendi { $number }
choose-booth = Kabina juaj
no-booth = Kjo lidhje nuk hap asnjë kabinë të këtij takimi. Pyesni organizatorin.
enter-booth = Hyr në kabinë
enter-hint-mic = Shfletuesi do të kërkojë mikrofonin. Ai mbetet i fikur derisa ta ndizni.
enter-hint-headset = Përdorni kufje: altoparlantët do të dëgjoheshin në kanalin tuaj.
incoming = Hyrja
outgoing = Dalja
floor-language = Salla
direct = drejtpërdrejt
headset = Kufjet
microphone = Mikrofoni
mic-off = Mikrofoni fikur
mic-off-hint = { $language } dëgjon origjinalin
mic-taking = Po kërkohet…
mic-on-air = NË TRANSMETIM
mic-waiting = Po rilidhet
mic-waiting-hint = Përsëri në transmetim sapo të kthehet lidhja
mic-taken = { $holder } është në transmetim
on-air-for = Në transmetim prej
level = Niveli
level-peak = maja
level-clips = { $count ->
    [one] { $count } mbingarkim në minutën e fundit
   *[other] { $count } mbingarkime në minutën e fundit
  }
last-minute = 60 sekondat e fundit
level-now = tani
device = Hyrja
device-default = Mikrofoni i parazgjedhur
processing-on = Shfletuesi e mban ndezur përpunimin e zërit: { $what }. Zëri juaj mund të dëgjohet i prerë.
processing-echo = heqja e jehonës
processing-noise = heqja e zhurmës
processing-gain = përforcimi automatik
device-denied = Shfletuesi nuk ka leje për mikrofonin. Lejojeni te shiriti i adresës, pastaj provoni përsëri.
device-missing = Nuk u gjet mikrofon. Lidhni një, pastaj provoni përsëri.
device-busy = Mikrofoni nuk hapet. Mund ta përdorë një program tjetër.
device-retry = Provo përsëri
desks = Kabina
desk-active = Në transmetim
desk-standby = Në pritje
channels = Kanalet
refusal-held = { $holder } është në transmetim në { $language }. Mund ta merrni kanalin kur të fikë mikrofonin.
refusal-full = Të gjitha vendet e kësaj kabine janë të zëna.
refusal-other = Serveri nuk jua dha kanalin. Provoni përsëri.
refusal-floor = Serveri nuk jua dha fjalën. Provoni përsëri.
clock = Ora

## Speaker
speak-in = Ju flisni
enter-room = Lidhu si folës
enter-hint-speaker = Askush nuk ju dëgjon derisa të merrni fjalën.
take-floor = Merr fjalën
release-floor = Lësho fjalën
floor-off = Nuk dëgjoheni
floor-off-hint = Shtypni kur t’ju vijë radha
floor-on = Po dëgjoheni
floor-on-hint = Në sallë në { $language }
hear-in = Në kufjet tuaja
hear-nothing = Asgjë
hear-hint = Vetëm me kufje: altoparlantët bëjnë jehonë.
interpreted-into = Përkthehet në

## Landing page
landing-title = Takime në çdo gjuhë, të dëgjuara drejtpërdrejt
landing-text = Kabina ua sjell zërin e përkthyesit të gjithëve që u duhet, në shfletues, pa instaluar asgjë.
landing-demo = Provoni takimin demonstrues
landing-open = Hapni lidhjen që ju dërgoi organizatori
landing-open-text = Ajo ju çon drejt te takimi; pa llogari dhe pa fjalëkalim.
landing-attend = Dëgjo
landing-attend-text = Pa mikrofon, pa llogari. Zgjidhni gjuhën dhe shtypni Dëgjo.
landing-booth = Përkthe nga kabina
landing-booth-text = Dëgjoni sallën, ndizni mikrofonin, dëgjohuni.
landing-speak = Fol në sallë
landing-speak-text = Merrni fjalën me mikrofonin tuaj.

# pictures
stage = Skena
screen-of = Ekrani i { $name }
camera-of = Kamera e { $name }
enlarge = Zmadho ose kthe
you-show = Ju tregoni
start-camera = Kamera
stop-camera = Ndal kamerën
start-screen = Ndaj ekranin
stop-screen = Ndal ndarjen
own-camera = Ju, si në pasqyrë
own-screen = Ekrani juaj
visual-asking = Po pyetet… Anulo
visual-denied = Shfletuesi nuk mund ta përdorë kamerën. Lejojeni te shiriti i adresës, pastaj provoni sërish.
visual-missing = Nuk u gjet burim pamjeje. Lidhni një, pastaj provoni sërish.
visual-busy = Pamja nuk hapet. Kamerën mund ta përdorë një program tjetër.
visual-server = Serveri nuk e pranoi pamjen. Provoni sërish.
camera-device = Cila kamerë
sound-only = Vetëm zëri
view-both = Të dyja
view-speaker = Folësi
view-slides = Ekrani
