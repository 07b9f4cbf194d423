# What is not pipfast's any more stays. PowerShell cannot take back a completer: it answers nothing then.
@EACH@ if ("${function:@NAME@}" -like '*_pipfast *') { Remove-Item -LiteralPath Function:@NAME@ }
Remove-Item -Path Function:_pipfast, Function:_pipfast_complete -ErrorAction SilentlyContinue
