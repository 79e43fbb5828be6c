### The words of the pages. One variant per line: inline variants drop the message without an error.

## Frame
skip-to-languages = К списку языков
skip-to-controls = К микрофону
connection = Связь
link-good = Хорошая
link-connecting = Соединение
link-reconnecting = Восстановление
link-poor = Слабая
link-lost = Потеряна
ui-language = Язык кнопок
original = Оригинал
interpreter = Переводчик
speaker = Выступающий
you = вы
listeners = { $count ->
    [one] { $count } слушатель
    [few] { $count } слушателя
   *[many] { $count } слушателей
  }

## Floor
now-speaking = Сейчас говорит
nobody-speaks = Никто не говорит
nobody-speaks-hint = Звук появится сам, когда кто-нибудь возьмёт слово.
is-heard = говорит сейчас:
speaks = язык: { $language }
interpretation-now = Перевод сейчас
on-the-floor = В зале
floor-empty = Слово свободно

## Languages
languages = Языки
state-spoken = Говорят сейчас
state-interpreted = С переводом
state-passthrough = Пока оригинал
state-original = Сейчас { $language }

## What is heard
you-hear = Вы слышите
lamp-interpreted = Переводчик в эфире
lamp-passthrough = Пока оригинал
lamp-original = Оригинал
lane-interpreter = Переводчик
lane-original = Оригинал
lamp-reconnecting = Восстановление
lamp-connecting = Соединение
original-under = Оригинал ({ $language }) под переводом
original-off = Нет
original-quiet = Тихо
original-normal = Обычно
original-louder = Громче
original-full = Полно
volume = Громкость
mute = Без звука
tap-to-hear = Нажмите, чтобы слушать
tap-why = Браузер ждёт нажатия, прежде чем включить звук.
screen-dark = Экран может погаснуть, звук останется
screen-awake = Экран не гаснет
leave = Выйти
said-passthrough = Сейчас нет переводчика: { $language }. Вы слышите оригинал.
said-interpreted = Переводчик в эфире: { $language }.
said-refused = { $language } сейчас недоступен. Язык не изменён.
said-level-refused = Оригинал сейчас нельзя получить на этой громкости. Ничего не изменилось.
said-reconnecting = Связь потеряна. Восстанавливаем.
said-reconnected = Связь восстановлена.

## Join card
listen-in = Слушать на языке
change-later = Можно сменить позже
no-microphone-needed = Ни микрофона, ни установки
listen-to = Слушать · { $language }
loading-meeting = Ищем встречу…
left-title = Вы вышли
left-text = Встреча продолжается. Вернуться можно в любой момент.
left-again = К списку языков

## Problems
problem-missing = Ссылка неполная
problem-missing-text = Откройте ссылку организатора целиком, до последнего знака.
problem-unreadable = Ссылка не читается
problem-unreadable-text = Часть её могла потеряться.
problem-expired = Срок приглашения истёк
problem-expired-text = Время, на которое была выдана эта ссылка, закончилось.
problem-revoked = Приглашение больше не действует
problem-revoked-text = Сервер не признаёт эту ссылку: её отозвали, или часть её потерялась.
problem-forbidden = По этому приглашению войти нельзя
problem-forbidden-text = Сервер знает эту ссылку, но она не для этой встречи.
problem-other-meeting = Это ссылка на другую встречу
problem-other-meeting-text = Откройте ссылку организатора целиком.
problem-other-role = Эта ссылка для другой страницы
problem-other-role-text = По ней можно слушать встречу.
problem-other-role-go = На страницу слушателя
problem-unknown-meeting = Такой встречи нет
problem-unknown-meeting-text = Возможно, она закончилась.
problem-replaced = Вы вошли с другой страницы
problem-replaced-text = Звук теперь там. Закройте эту страницу или войдите здесь снова.
problem-other = В соединении отказано
problem-other-text = Сообщите организатору этот код: { $code }
problem-again = Войти здесь снова
problem-ask = Попросите у организатора новую ссылку. Откройте её в этой вкладке или в другой.
problem-cut = Вы больше не на встрече: вы никого не слышите, и вас никто не слышит.

## Interpreter
booth-of = Кабина { $language }
desk-number = Пульт { $number }
choose-booth = Ваша кабина
no-booth = По этой ссылке нет кабины в этой встрече. Обратитесь к организатору.
enter-booth = Войти в кабину
enter-hint-mic = Браузер попросит доступ к микрофону. Он выключен, пока вы его не включите.
enter-hint-headset = Наденьте гарнитуру: колонки были бы слышны в вашем канале.
incoming = Входящий
outgoing = Исходящий
floor-language = Зал
direct = напрямую
headset = Наушники
microphone = Микрофон
mic-off = Микрофон выключен
mic-off-hint = { $language }: слышен оригинал
mic-taking = Запрос…
mic-on-air = В ЭФИРЕ
mic-waiting = Восстановление
mic-waiting-hint = Снова в эфире, как только вернётся связь
mic-taken = В эфире: { $holder }
on-air-for = В эфире
level = Уровень
level-peak = пик
level-clips = { $count ->
    [one] { $count } перегрузка за минуту
    [few] { $count } перегрузки за минуту
   *[many] { $count } перегрузок за минуту
  }
last-minute = последние 60 с
level-now = сейчас
device = Вход
device-default = Микрофон по умолчанию
processing-on = Браузер не отключил обработку звука: { $what }. Голос может звучать обрывисто.
processing-echo = эхоподавление
processing-noise = шумоподавление
processing-gain = автоматическое усиление
device-denied = Браузеру запрещён микрофон. Разрешите его в адресной строке и попробуйте снова.
device-missing = Микрофон не найден. Подключите его и попробуйте снова.
device-busy = Микрофон не открывается. Возможно, он занят другой программой.
device-retry = Ещё раз
desks = Кабина
desk-active = В эфире
desk-standby = Ожидает
channels = Каналы
refusal-held = { $holder } сейчас в эфире: { $language }. Вы сможете выйти в эфир, когда этот микрофон выключат.
refusal-full = Все пульты этой кабины заняты.
refusal-other = Сервер не дал вам канал. Попробуйте снова.
refusal-floor = Сервер не дал вам слово. Попробуйте снова.
clock = Время

## Speaker
speak-in = Вы говорите
enter-room = Войти как выступающий
enter-hint-speaker = Вас никто не слышит, пока вы не возьмёте слово.
take-floor = Взять слово
release-floor = Передать слово
floor-off = Вас не слышно
floor-off-hint = Нажмите, когда придёт ваша очередь
floor-on = Вас слышно
floor-on-hint = В зале, язык: { $language }
hear-in = В ваших наушниках
hear-nothing = Ничего
hear-hint = Только с наушниками: колонки дадут эхо.
interpreted-into = Перевод на языки

## Landing page
landing-title = Встречи на всех языках, в прямом эфире
landing-text = Kabina доносит голос переводчика до каждого, кому он нужен, прямо в браузере, без установки.
landing-demo = Попробуйте учебную встречу
landing-open = Откройте ссылку от организатора
landing-open-text = Она ведёт прямо на встречу: без учётной записи и пароля.
landing-attend = Слушать
landing-attend-text = Без микрофона и учётной записи. Выберите язык и нажмите «Слушать».
landing-booth = Переводить из кабины
landing-booth-text = Слушайте зал, включите микрофон, вас услышат.
landing-speak = Выступить в зале
landing-speak-text = Возьмите слово со своим микрофоном.

# pictures
stage = Сцена
screen-of = Экран: { $name }
camera-of = Камера: { $name }
enlarge = Увеличить или вернуть
you-show = Вы показываете
start-camera = Камера
stop-camera = Выключить камеру
start-screen = Показать экран
stop-screen = Прекратить показ
own-camera = Вы, зеркально
own-screen = Ваш экран
visual-asking = Запрос… Отменить
visual-denied = Браузеру нельзя использовать камеру. Разрешите её в адресной строке и попробуйте ещё раз.
visual-missing = Источник изображения не найден. Подключите его и попробуйте ещё раз.
visual-busy = Изображение не открывается. Возможно, камеру использует другая программа.
visual-server = Сервер не принял изображение. Попробуйте ещё раз.
camera-device = Какая камера
sound-only = Только звук
view-both = Оба
view-speaker = Оратор
view-slides = Экран
