### The words of the pages. One variant per line: inline variants drop the message without an error.

## Frame
skip-to-languages = Aller aux langues
skip-to-controls = Aller au microphone
connection = Connexion
link-good = Bonne
link-connecting = En cours
link-reconnecting = Reconnexion
link-poor = Faible
link-lost = Perdue
ui-language = Langue des boutons
original = Original
interpreter = Interprète
speaker = Orateur
you = vous
listeners = { $count ->
    [one] { $count } auditeur
   *[other] { $count } auditeurs
  }

## Floor
now-speaking = A la parole
nobody-speaks = Personne ne parle
nobody-speaks-hint = Le son revient de lui-même dès que quelqu’un prend la parole.
is-heard = parle en ce moment :
speaks = parle { $language }
interpretation-now = Interprétation en cours
on-the-floor = À la tribune
floor-empty = La parole est libre

## Languages
languages = Langues
state-spoken = Parlée
state-interpreted = Interprétée
state-passthrough = Original en attendant
state-original = Parlé : { $language }

## What is heard
you-hear = Vous entendez
lamp-interpreted = Interprète à l’antenne
lamp-passthrough = Original en attendant
lamp-original = Original
lane-interpreter = Interprète
lane-original = Original
lamp-reconnecting = Reconnexion
lamp-connecting = Connexion
original-under = Original ({ $language }) en fond
original-off = Muet
original-quiet = Bas
original-normal = Normal
original-louder = Fort
original-full = Plein
volume = Volume
mute = Couper le son
tap-to-hear = Toucher pour écouter
tap-why = Le navigateur attend un geste avant de jouer le son.
screen-dark = L’écran peut s’éteindre, le son continue
screen-awake = L’écran reste allumé
leave = Quitter
said-passthrough = Pas d’interprète en { $language } pour le moment. Vous entendez l’original.
said-interpreted = L’interprète en { $language } est à l’antenne.
said-refused = { $language } ne peut pas être écouté maintenant. La langue n’a pas changé.
said-level-refused = L’original ne peut pas être entendu à ce niveau pour l’instant. Rien n’a changé.
said-reconnecting = Connexion perdue. Reconnexion.
said-reconnected = Connexion rétablie.

## Join card
listen-in = Écouter en
change-later = Vous pourrez changer ensuite
no-microphone-needed = Ni microphone ni installation
listen-to = Écouter · { $language }
loading-meeting = Recherche de la réunion…
left-title = Vous avez quitté la réunion
left-text = Elle continue. Vous pouvez revenir à tout moment.
left-again = Revenir aux langues

## Problems
problem-missing = Ce lien n’est pas complet
problem-missing-text = Ouvrez le lien entier envoyé par votre organisateur, jusqu’au dernier caractère.
problem-unreadable = Ce lien est illisible
problem-unreadable-text = Une partie s’est peut-être perdue en route.
problem-expired = Cette invitation a expiré
problem-expired-text = La durée de validité de ce lien est écoulée.
problem-revoked = Cette invitation n’est plus valable
problem-revoked-text = Le serveur ne reconnaît pas ce lien : il a été retiré, ou une partie s’est perdue en route.
problem-forbidden = Cette invitation ne donne pas accès
problem-forbidden-text = Le serveur reconnaît ce lien, mais il n’ouvre pas cette réunion.
problem-other-meeting = Ce lien est celui d’une autre réunion
problem-other-meeting-text = Ouvrez le lien entier envoyé par votre organisateur.
problem-other-role = Ce lien est fait pour une autre page
problem-other-role-text = Il vous permet d’écouter la réunion.
problem-other-role-go = Aller à la page d’écoute
problem-unknown-meeting = Cette réunion n’existe pas
problem-unknown-meeting-text = Elle est peut-être terminée.
problem-replaced = Vous avez rejoint depuis une autre page
problem-replaced-text = Le son continue là-bas. Fermez cette page, ou rejoignez ici.
problem-other = La connexion a été refusée
problem-other-text = Donnez ce code à votre organisateur : { $code }
problem-again = Rejoindre ici
problem-ask = Demandez un nouveau lien à votre organisateur. Ouvrez-le dans cet onglet ou dans un autre.
problem-cut = Vous n’êtes plus dans la réunion : vous n’entendez personne et personne ne vous entend.

## Interpreter
booth-of = Cabine { $language }
desk-number = Pupitre { $number }
choose-booth = Votre cabine
no-booth = Ce lien n’ouvre aucune cabine de cette réunion. Adressez-vous à votre organisateur.
enter-booth = Entrer en cabine
enter-hint-mic = Le navigateur demandera votre microphone. Il reste coupé jusqu’à ce que vous l’ouvriez.
enter-hint-headset = Mettez un casque : des haut-parleurs s’entendraient dans votre canal.
incoming = Entrant
outgoing = Sortant
floor-language = Salle
direct = direct
headset = Casque
microphone = Microphone
mic-off = Micro coupé
mic-off-hint = { $language } entend l’original
mic-taking = Demande…
mic-on-air = À L’ANTENNE
mic-waiting = Reconnexion
mic-waiting-hint = De retour à l’antenne dès que la liaison revient
mic-taken = { $holder } est à l’antenne
on-air-for = À l’antenne depuis
level = Niveau
level-peak = crête
level-clips = { $count ->
    [one] { $count } saturation dans la dernière minute
   *[other] { $count } saturations dans la dernière minute
  }
last-minute = 60 dernières secondes
level-now = maintenant
device = Entrée
device-default = Microphone par défaut
processing-on = Le navigateur garde son traitement du son : { $what }. Votre voix peut sembler coupée.
processing-echo = annulation d’écho
processing-noise = réduction de bruit
processing-gain = gain automatique
device-denied = Le navigateur n’a pas le droit d’utiliser le microphone. Autorisez-le dans la barre d’adresse, puis réessayez.
device-missing = Aucun microphone trouvé. Branchez-en un, puis réessayez.
device-busy = Le microphone ne s’ouvre pas. Un autre programme l’utilise peut-être.
device-retry = Réessayer
desks = Cabine
desk-active = À l’antenne
desk-standby = En attente
channels = Canaux
refusal-held = { $holder } est à l’antenne en { $language }. Vous pourrez prendre le relais dès que son micro sera coupé.
refusal-full = Tous les pupitres de cette cabine sont occupés.
refusal-other = Le serveur ne vous a pas donné le canal. Réessayez.
refusal-floor = Le serveur ne vous a pas donné la parole. Réessayez.
clock = Heure

## Speaker
speak-in = Vous parlez
enter-room = Rejoindre comme orateur
enter-hint-speaker = Personne ne vous entend avant que vous preniez la parole.
take-floor = Prendre la parole
release-floor = Rendre la parole
floor-off = On ne vous entend pas
floor-off-hint = Appuyez quand vient votre tour
floor-on = On vous entend
floor-on-hint = À la tribune en { $language }
hear-in = Dans vos écouteurs
hear-nothing = Rien
hear-hint = Seulement avec des écouteurs : des haut-parleurs feraient écho.
interpreted-into = Interprété en

## Landing page
landing-title = Des réunions dans toutes les langues, en direct
landing-text = Kabina porte la voix de l’interprète à tous ceux qui en ont besoin, dans le navigateur, sans rien installer.
landing-demo = Essayer la réunion de démonstration
landing-open = Ouvrez le lien envoyé par votre organisateur
landing-open-text = Il mène droit à votre réunion ; ni compte ni mot de passe.
landing-attend = Écouter
landing-attend-text = Ni microphone ni compte. Choisissez une langue et appuyez sur Écouter.
landing-booth = Interpréter
landing-booth-text = Entendez la salle, ouvrez votre micro, soyez entendu.
landing-speak = Prendre la parole
landing-speak-text = Parlez à la tribune avec votre propre microphone.

# pictures
stage = Scène
screen-of = Écran de { $name }
camera-of = Caméra de { $name }
enlarge = Agrandir ou réduire
you-show = Vous montrez
start-camera = Caméra
stop-camera = Couper la caméra
start-screen = Partager l'écran
stop-screen = Arrêter le partage
own-camera = Vous, en miroir
own-screen = Votre écran
visual-asking = Demande… Annuler
visual-denied = Le navigateur n’a pas le droit d’utiliser la caméra. Autorisez-la dans la barre d’adresse, puis réessayez.
visual-missing = Aucune source d’image trouvée. Branchez-en une, puis réessayez.
visual-busy = L’image ne peut pas être ouverte. Un autre programme utilise peut-être la caméra.
visual-server = Le serveur n’a pas accepté l’image. Réessayez.
camera-device = Quelle caméra
sound-only = Son seul
view-both = Les deux
view-speaker = Orateur
view-slides = Écran
