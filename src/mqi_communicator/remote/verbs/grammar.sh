# The syntax of requests (docs/protocol.md). A request of another form is rejected before anything is done with it, and
# nothing parses it a second time in another way.

# is_number WORD: a plain decimal. Programs disagree on numbers with a sign, 0x or a leading zero.
is_number() { case "$1" in '' | *[!0-9]* | 0?* | ???????????*) return 1 ;; esac }
is_count() { is_number "$1" && [ "$1" != 0 ]; }

# is_word WORD: a valid argument of a program. Without control characters it cannot become two lines or words.
is_word() { case "$1" in '' | *[[:cntrl:]]*) return 1 ;; esac }

# is_line LINE: words separated by single tabs.
tab=$(printf '\t')
is_line() { case "$1" in '' | "$tab"* | *"$tab" | *"$tab$tab"*) return 1 ;; esac }

is_root() { case "$1" in /*[!/]*) ;; *) return 1 ;; esac }
is_key() {
  case "$1" in '' | *[!A-Za-z0-9_]* | _*) return 1 ;; esac
  [ ${#1} -le 64 ]
}

# is_token WORD: KEY-bN-rN
is_token() {
  numbers=${1#*-b}
  is_key "${1%%-b*}" && is_ordinal "${numbers%%-r*}" && is_ordinal "${numbers#*-r}" &&
    [ "$1" = "${1%%-b*}-b${numbers%%-r*}-r${numbers#*-r}" ]
}
is_ordinal() { case "$1" in '' | *[!0-9]* | ???????*) return 1 ;; esac }

is_sha256() {
  case "$1" in *[!0-9a-f]*) return 1 ;; esac
  [ ${#1} = 64 ]
}
is_label() {
  case "$1" in '' | *[!a-z0-9-]* | [!a-z]*) return 1 ;; esac
  [ ${#1} -le 32 ]
}
is_variable() { case "$1" in '' | *[!A-Za-z0-9_]* | [0-9]*) return 1 ;; esac }
is_gpu() {
  case "$1" in '' | *[!A-Za-z0-9._:-]* | [!A-Za-z0-9]*) return 1 ;; esac
  [ ${#1} -le 64 ]
}

# is_below PATH: a relative path that stays inside its folder, judging by its name.
is_below() {
  is_word "$1" || return 1
  case "$1" in /* | '~'* | -* | .. | ../* | */.. | */../*) return 1 ;; esac
}

# within FOLDER PATH: a file, and no link in PATH leads out of FOLDER.
within() {
  [ -f "$2" ] && real=$(readlink -f -- "$1") && case "$(readlink -f -- "$2")" in "$real"/*) ;; *) return 1 ;; esac
}

# own_file PATH: a file that is not a link.
own_file() { [ -f "$1" ] && [ ! -L "$1" ]; }

# check_call VERB WORD...: the number of words that the verb takes, each of the right form.
check_call() {
  case "$1,$#" in
    hello,1 | clock,1 | needs,1 | gpus,1) return 0 ;;
    host,2) [ "$2" = direct ] || [ "$2" = slurm ] ;;
    workspace,2 | space,2 | left,2 | slurm_cancel,2) is_root "$2" ;;
    settled,4 | settle,4) is_root "$2" && is_key "$3" && is_sha256 "$4" ;;
    remove,3 | runs,3) is_root "$2" && is_key "$3" ;;
    submit,5) is_root "$2" && is_token "$3" && is_number "$4" && { [ "$5" = anywhere ] || [ "$5" = plain ]; } ;;
    slurm_submit,3) is_root "$2" && is_token "$3" ;;
    poll,4) is_root "$2" && is_number "$3" && is_count "$4" ;;
    poll,5) is_root "$2" && is_number "$3" && is_count "$4" && [ "$5" = gpus ] ;;
    slurm_poll,6) is_root "$2" && is_number "$3" && is_count "$4" && is_number "$5" && is_count "$6" ;;
    cancel,3) is_root "$2" && is_number "$3" ;;
    *) false ;;
  esac || trouble bad-word "$1"
}
