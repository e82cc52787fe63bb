"""Jupyter's own tests of a kernel, for the kernel named by GRADBOOK_TEST_KERNELSPEC."""

import os
import unittest

import jupyter_kernel_test

NAME = os.environ["GRADBOOK_TEST_KERNELSPEC"]


class GradbookTests(jupyter_kernel_test.KernelTests):
    kernel_name = NAME
    language_name = "go"
    file_extension = ".go"

    code_hello_world = 'fmt.Println("hello, world")'
    code_stderr = 'fmt.Fprintln(os.Stderr, "oops")'

    complete_code_samples = [
        "x := 1",
        "fmt.Println(1)",
        "func f() int {\n\treturn 1\n}",
        "type t struct{ a int }\nt{1}.a",
        "%help",
        "// nothing but a comment",
    ]
    incomplete_code_samples = [
        "func f() int {",
        "fmt.Println(1,",
        "x :=",
        "s := `raw",
        "/* a comment",
        "if true {\n\tfor {",
        "!ls \\",
    ]
    invalid_code_samples = [
        "x = = 1",
        "fmt.Println(1))",
        's := "open',
        "func f() int ]",
        "%nosuchcommand",
    ]

    completion_samples = [
        {"text": "fmt.Printl", "matches": {"Println"}},
        {"text": "strings.HasPre", "matches": {"HasPrefix"}},
        {"text": "%resta", "matches": {"%restart"}},
    ]

    code_inspect_sample = "fmt.Println"
    code_page_something = "fmt.Println?"

    code_generate_error = 'panic("ouch")'

    code_execute_result = [
        {"code": "6 * 7", "result": "42"},
        {"code": '"a" + "b"', "result": '"ab"'},
        {"code": "strings.Fields(\"to be\")", "result": "[to be]"},
    ]

    code_display_data = [
        {"code": 'gonbui.DisplayHtml("<b>bold</b>")', "mime": "text/html"},
        {"code": 'gonbui.DisplayPng([]byte{1, 2, 3})', "mime": "image/png"},
    ]

    code_history_pattern = "6 *[*] 7"  # a glob: "6 ", anything, a star, " 7"
    supported_history_operations = ("tail", "range", "search")

    code_clear_output = r'os.WriteFile(os.Getenv("GRADBOOK_PIPE"), []byte("{\"op\":\"clear\"}\n"), 0)'


class GradbookWelcomeTests(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = NAME
    support_iopub_welcome = True


if __name__ == "__main__":
    unittest.main()
