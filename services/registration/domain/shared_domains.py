"""Domains that many customers share, so that they say nothing about who somebody is.

A host whose customers the public suffix list tells apart (`contoso.github.io`, `contoso.myshopify.com`) need not stand
here: there each has a domain of its own.
"""

FREE_MAIL = (
    *("gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "ymail.com"),
    *("aol.com", "icloud.com", "me.com", "gmx.de", "gmx.net", "gmx.com", "web.de", "t-online.de", "freenet.de"),
    *("proton.me", "protonmail.com", "mail.com", "mail.ru", "yandex.ru", "qq.com", "163.com", "126.com", "naver.com"),
    *("orange.fr", "free.fr", "laposte.net", "libero.it", "wp.pl", "o2.pl", "seznam.cz", "zoho.com", "fastmail.com"),
)
"""What a gate for leads holds back where its rules name none of their own: what it held back stays, so this one stays."""

MORE_MAIL = (
    *("pm.me", "protonmail.ch", "mac.com", "rocketmail.com", "gmx.at", "gmx.ch", "gmx.fr", "gmx.eu", "gmx.info"),
    *("mailbox.org", "posteo.de", "posteo.net", "tutanota.com", "tuta.com", "tuta.io", "hey.com", "hushmail.com"),
    *("online.de", "arcor.de", "1und1.de", "email.de", "mail.de", "kabelmail.de", "vodafonemail.de", "aon.at"),
    *("a1.net", "chello.at", "bluewin.ch", "hispeed.ch", "sunrise.ch", "telenet.be", "skynet.be", "proximus.be"),
    *("ziggo.nl", "kpnmail.nl", "planet.nl", "hetnet.nl", "home.nl", "xs4all.nl", "upcmail.nl"),
    *("sfr.fr", "neuf.fr", "wanadoo.fr", "bbox.fr", "numericable.fr", "aliceadsl.fr", "club-internet.fr"),
    *("virgilio.it", "tiscali.it", "alice.it", "tin.it", "inwind.it", "iol.it", "fastwebnet.it", "pec.it"),
    *("telefonica.net", "terra.es", "ono.com", "sapo.pt", "telepac.pt", "clix.pt", "iol.pt"),
    *("btinternet.com", "sky.com", "virginmedia.com", "ntlworld.com", "blueyonder.co.uk", "talktalk.net", "eircom.net"),
    *("onet.pl", "interia.pl", "gazeta.pl", "op.pl", "poczta.fm", "email.cz", "centrum.cz", "post.cz", "azet.sk"),
    *("citromail.hu", "freemail.hu", "abv.bg", "mail.bg", "in.gr", "otenet.gr", "telia.com", "comhem.se", "spray.se"),
    *("online.no", "mail.dk", "tdcadsl.dk", "jubii.dk", "kolumbus.fi", "luukku.com", "inbox.lv", "inbox.lt"),
    *("comcast.net", "verizon.net", "att.net", "sbcglobal.net", "bellsouth.net", "cox.net", "charter.net", "aim.com"),
    *("earthlink.net", "juno.com", "optonline.net", "frontier.com", "windstream.net", "centurylink.net"),
    *("rogers.com", "shaw.ca", "sympatico.ca", "bell.net", "telus.net", "videotron.ca"),
    *("bigpond.com", "bigpond.net.au", "optusnet.com.au", "iinet.net.au", "xtra.co.nz"),
    *("uol.com.br", "bol.com.br", "terra.com.br", "ig.com.br", "globo.com", "prodigy.net.mx"),
    *("rediffmail.com", "yandex.com", "yandex.kz", "ya.ru", "bk.ru", "list.ru", "inbox.ru", "rambler.ru", "ukr.net"),
    *("sina.com", "sohu.com", "foxmail.com", "yeah.net", "139.com", "189.cn", "hanmail.net", "daum.net", "nate.com"),
    *("docomo.ne.jp", "ezweb.ne.jp", "softbank.ne.jp", "nifty.com", "hinet.net", "singnet.com.sg", "walla.co.il"),
)

_NATIONAL = {
    "yahoo": "co.uk de fr it es nl se no dk at be gr ie pl ro ca com.au co.nz co.jp co.in co.id com.br com.mx com.ar com.sg",
    "hotmail": "co.uk de fr it es nl se no dk at be gr ch ca com.au com.br com.ar co.jp",
    "live": "co.uk de fr it es nl se no dk at be ie ca com.au com.mx com.ar com.pt jp",
    "outlook": "de fr it es at be dk ie com.au com.br com.gr jp pt cz hu",
    "aol": "co.uk de fr it es",
}
"""Where a provider of mail has a domain of its own name under each of these."""

SITES = (
    *("google.com", "google.de", "google.co.uk", "google.fr", "business.site", "goo.gl", "g.page"),
    *("wordpress.com", "wordpress.org", "wix.com", "weebly.com", "squarespace.com", "jimdo.com", "jimdofree.com"),
    *("jimdosite.com", "webnode.com", "webnode.page", "webflow.com", "godaddysites.com"),
    *("strikingly.com", "mystrikingly.com", "site123.me", "webs.com", "ueniweb.com", "duda.co", "dudaone.com"),
    *("blogspot.de", "blogger.com", "tumblr.com", "medium.com", "substack.com", "typepad.com", "livejournal.com"),
    *("home.blog", "over-blog.com", "canalblog.com", "homestead.com", "tripod.com", "angelfire.com", "geocities.com"),
    *("shopify.com", "bigcartel.com", "mybigcommerce.com", "ecwid.com", "etsy.com", "ebay.com", "ebay.de"),
    *("ebay.co.uk", "hubspot.com", "hubspotpagebuilder.com"),
    *("sharepoint.com", "onmicrosoft.com", "live.net", "atlassian.net", "notion.so", "gitbook.com"),
    *("github.com", "gitlab.com", "bitbucket.org", "sourceforge.net", "eventbrite.com"),
    *("linktr.ee", "about.me", "bit.ly", "yelp.com", "yelp.de", "tripadvisor.com", "booking.com"),
    *("crunchbase.com", "northdata.de", "northdata.com", "wikipedia.org", "gelbeseiten.de", "dasoertliche.de"),
)

SOCIAL = (
    *("facebook.com", "fb.com", "fb.me", "linkedin.com", "xing.com", "instagram.com", "twitter.com", "x.com"),
    *("youtube.com", "youtu.be", "tiktok.com", "pinterest.com", "reddit.com", "threads.net", "whatsapp.com", "wa.me"),
    *("t.me", "telegram.me", "vk.com", "ok.ru", "weibo.com", "wechat.com", "line.me", "kakao.com", "snapchat.com"),
    *("discord.gg", "discord.com", "vimeo.com", "bsky.app", "mastodon.social", "meetup.com", "viadeo.com"),
)

SHARED_DOMAINS = tuple(
    dict.fromkeys(
        (
            *FREE_MAIL,
            *MORE_MAIL,
            *(f"{name}.{under}" for name, countries in _NATIONAL.items() for under in countries.split()),
            *SITES,
            *SOCIAL,
        )
    )
)
"""Free mail, hosts and builders of sites, social networks: what deals take for no key, unless their rules name others."""
